"""A run that is at work, as people see it: its phases, how long each will take, its best methods so far.

Begin with view.py; progress.py says what is drawn, forecast.py when it will be over.
"""
