"""Models: loading, heads, prompts, the pool of a process, the offline models.

Begin with pool.py.
"""
