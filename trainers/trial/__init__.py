"""One trial: its workbench, a method's stages in order, zero-shot answers, baselines.

Begin with workbench.py.
"""
