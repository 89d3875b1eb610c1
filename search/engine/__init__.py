"""What runs next: rounds, exploration, replication, confirmation. Without Ray.

Begin with director.py, which hands out assignments and receives reports.
"""
