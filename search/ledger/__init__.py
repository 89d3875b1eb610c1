"""Events of a run, appended to a file; the record is their sum, and resuming is replaying them.

Begin with events.py (what can happen), then record.py (what is known).
"""
