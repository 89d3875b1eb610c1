"""report.html: one self-contained page about a run.

Begin with report.py; facts.py holds its tables, figures.py and charts.py its pictures.
"""
