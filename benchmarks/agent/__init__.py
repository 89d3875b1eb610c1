"""Measures proposers: tokens, proposers against each other, leaks, the catalogue."""
