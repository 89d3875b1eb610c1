"""The run directory, and its copy in object storage.

Begin with run_directory.py.
"""
