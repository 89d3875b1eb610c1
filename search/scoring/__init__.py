"""PGR, its standard error and tests; the grader, which alone holds the labels.

Begin with pgr.py (the formulas), then grader.py.
"""
