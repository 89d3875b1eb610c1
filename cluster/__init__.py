"""Where it runs: the Ray runtime, placement and job submission."""
