"""Passes without padding: the texts of a batch laid end to end. Begin with `passes`."""
