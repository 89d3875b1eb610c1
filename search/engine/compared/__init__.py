"""What methods are compared with, and where: naive on the search split, and a method on another task.

Begin with naive.py.
"""
