"""Formulas: labels, weights and losses that a proposal writes as an expression over named signals.

An expression is data: it is parsed into steps of our own operations and never handed to Python. Begin with
grammar.py; operations.py lists the functions, formula.py makes a component of an expression.
"""
