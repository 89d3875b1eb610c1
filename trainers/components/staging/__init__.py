"""What the sequence of a method's trainings is made of: relabelling, refinement, members, and their order.

Begin with trainers/components/staging/sequence.py.
"""
