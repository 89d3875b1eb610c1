"""What people and scripts see of a run: live progress, result.json, tables, the report.

Begin with result.py (the outcome) or progress.py (the live view).
"""
