"""What the API answers and how it is asked again: replies, refusals.

Begin with replies.py, then attempts.py.
"""
