"""The run directory, and its mirror in object storage.

Begin with run_directory.py.
"""
