"""The cluster: the Ray runtime, placement of trials, job submission."""
