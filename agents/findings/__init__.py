"""What a proposer is told of a campaign and what it answers; the `Proposer` interface.

Begin with findings.py (the facts) and proposer.py (the interface); digest.py writes the facts as text.
"""
