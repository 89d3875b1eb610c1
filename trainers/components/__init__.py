"""What the slots of a method hold, and what these components compute with.

Begin with losses.py; docs/extending.md shows how to add one.
"""
