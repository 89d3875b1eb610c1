"""Ray: Tune's adapters, the process of a trial, gangs, the grader's actor, baselines.

Begin with tune.py, then trial_runner.py.
"""
