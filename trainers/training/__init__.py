"""One training: the loop, the session, DeepSpeed's engine and a plain one, memory, checkpoints.

Begin with loop.py, then session.py.
"""
