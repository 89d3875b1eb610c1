"""How much memory a training needs, predicted from a model's shape, and the pieces in which it fits.

Begin with prediction.py, then choice.py.
"""
