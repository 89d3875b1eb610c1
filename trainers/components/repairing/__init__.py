"""What repairs compute with: a channel of confusions, a graph of neighbours, heads that are fitted again.

Begin with trainers/components/repairs.py.
"""
