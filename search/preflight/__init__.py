"""What can be said before a run: a config for your own data, and what a run of a config would meet and cost.

Begin with check.py. Imports torch, never Ray: nothing here trains for longer than a few seconds.
"""
