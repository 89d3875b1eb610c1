"""The proposer that needs no key: published spaces first, then growth from what did best.

Begin with playbook.py.
"""
