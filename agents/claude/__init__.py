"""Claude as a proposer: prompts, lanes, tools, budget, transcripts, replay.

Begin with proposer.py (a round), then conversation.py (one lane's requests).
"""
