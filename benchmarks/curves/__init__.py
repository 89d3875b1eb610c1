"""Searches on recorded learning curves, beside other methods by the same rules."""
