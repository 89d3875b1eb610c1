"""Claude as a proposer: prompt, lanes, tools, money, transcripts, replay.

Begin with proposer.py (a round), then conversation.py (one lane's requests).
"""
