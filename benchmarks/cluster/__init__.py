"""Measures submission, tracking and object storage against loopback servers."""
