"""Weights & Biases, in a process of its own that reads the ledger: python -m search.tracking DIR

Begin with launcher.py (the search's side), then process.py (the other).
"""
