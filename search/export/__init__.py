"""What a run hands on: a trained model in a folder, a method as one file of Python.

Begin with model.py (the folder) or script.py (the file).
"""
