"""A run's output for people and scripts: live progress, result.json, tables, the report.

Begin with result.py (the outcome) or live_view/ (a run that is at work).
"""
