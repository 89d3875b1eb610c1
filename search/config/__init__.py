"""YAML and overrides in, one frozen object out; what a trial may use of the cluster.

Begin with schema.py (the settings); load.py reads a file.
"""
