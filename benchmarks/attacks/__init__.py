"""What a stranger, a colleague on the same machine or a file from elsewhere may try against a run."""
