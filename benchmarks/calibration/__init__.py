"""Campaigns of known truth: are the reported PGR and its interval right?"""
