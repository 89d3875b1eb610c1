"""What selections compute with: plans of weights, and ranks.

Begin with trainers/components/selection.py.
"""
