"""Proposes what to try next: the language of proposals, and the proposers: Claude, replay, playbook."""
