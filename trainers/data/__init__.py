"""Tasks of text: examples, splits, files and hub data sets, tokens, the offline task.

Begin with examples.py, then dataset.py.
"""
