"""Claude asked within a round: it reads what the surrogate believes and names draws by a tool.

Begin with consultant.py; tools.py holds what it may call.
"""
