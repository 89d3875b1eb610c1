"""What runs next: rounds, exploration, replication, confirmation. No Ray in it.

Begin with director.py, which hands out assignments and takes in reports.
"""
