"""Optuna: a study of the campaign and one of each branch, the samplers, the importance of parameters.

Begin with studies.py: how the studies follow the ledger. branch_sampler.py says how a method is drawn.
"""
