"""Optuna: one study a branch, its sampler and storage, the importance of parameters.

Begin with studies.py.
"""
