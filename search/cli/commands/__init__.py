"""The commands, one file each: options, help text, examples, and what to call.

Begin with run.py. A new command is added to COMMANDS of ../app.py.
"""
