"""A person changes the course of a run: orders in a file, and settings given to `resume`.

Begin with order.py (what can be asked), then check.py (what of it is taken) and inbox.py (how it gets there).
"""
