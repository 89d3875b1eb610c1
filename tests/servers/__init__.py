"""Servers on the loopback that stand for services: a test speaks to them over real HTTP.

`s3` is an object store, `wandb` takes what the wandb client sends (`wandb_files` reads what it leaves on disk
when offline), `messages_api` answers as Claude's Messages API does, `jobs` is a Ray
job server whose job has ended, and `proxy` stands between two machines and can be cut. Each is started by a
context manager, on a free port.
"""
