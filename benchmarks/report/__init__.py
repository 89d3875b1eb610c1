"""Measures report.html: size, time to write, time to lay out."""
