"""Draws that the agent names within a round: asked for in the background, kept until their turn comes.

Begin with requests.py; queue.py says when a draw's turn is, beliefs.py what the agent is shown.
"""
