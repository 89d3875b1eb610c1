"""The command line: one file a command, each with its options, its help and its examples.

Begin with app.py, which puts the commands together; options.py holds what several of them take.
"""
