"""Weights & Biases, in a process of its own that reads the ledger: python -m search.tracking DIR

Begin with launcher.py, which runs in the search's process, then process.py.
"""
