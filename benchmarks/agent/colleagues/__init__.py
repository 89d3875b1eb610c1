"""A simulated colleague: scripted agents of known quality help campaigns on a table of real trials."""
