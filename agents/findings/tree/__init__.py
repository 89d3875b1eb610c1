"""The campaign as a tree of text and CSV files that an agent lists, reads and searches.

Begin with campaign.py (which files there are), then tree.py (how much of them a call shows).
"""
