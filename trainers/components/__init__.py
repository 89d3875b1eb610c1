"""The components of a method's slots, and the computations behind them.

Begin with losses.py; docs/extending.md shows how to add one.
"""
