"""Training: the loop, the session, DeepSpeed's engine and a plain engine, memory, checkpoints.

Begin with loop.py, then session.py and passes.py.
"""
