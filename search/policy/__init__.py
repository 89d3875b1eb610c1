"""Pure decisions: pruning, promotion, the surrogate, allocation, the training budget, faults.

Begin with promotion.py (who trains on) and pruning.py (who stops). No Ray, no Optuna, no files.
"""
