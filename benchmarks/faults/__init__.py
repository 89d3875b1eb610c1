"""Plants faults in real runs and counts what survives."""
