"""Pure decisions: pruning, promotion, the surrogate, allocation, the training budget, faults.

Begin with promotion.py (which trial trains next) and pruning.py (which trial stops). No Ray, no Optuna, no
files.
"""
