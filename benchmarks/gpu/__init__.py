"""Measures training on a GPU."""
