"""Ray: Tune's adapters, the trial's process, gangs, the grader's actor, baselines.

Begin with tune.py, then trial_runner.py.
"""
