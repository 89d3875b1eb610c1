"""The parts of exported Python files that nothing in trainers/ has: they use torch and transformers alone.

Begin with base.py. `search.export.bundle` copies them, and what they use of trainers/, into one file.
"""
