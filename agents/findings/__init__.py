"""What a proposer knows of a campaign and what it returns; the `Proposer` interface.

Begin with findings.py (the facts) and proposer.py (the interface); digest.py renders the facts as text.
"""
