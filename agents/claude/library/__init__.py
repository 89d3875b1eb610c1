"""What a lane may look up: the campaign as files, a person's texts, notes of other campaigns.

Begin with library.py (what there is), then browsing.py (the tools).
"""
