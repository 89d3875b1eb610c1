"""The language of proposals: branches of methods, their spaces, and what is allowed.

Begin with proposal.py; validation.py checks a proposal, catalogue.py describes the components to an agent.
"""
