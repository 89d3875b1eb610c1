"""Help with a round that is under way: what the surrogate believes, and the draws that an agent names.

Begin with suggestions.py (draws that were named and checked), then adviser.py (who may be asked).
"""
