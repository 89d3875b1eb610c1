"""Many trials: the loop, Optuna, Ray Tune, grading, pruning, the command line."""
