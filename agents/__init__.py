"""What to try next: the language of proposals, and who speaks it."""
