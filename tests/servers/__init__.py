"""Servers on the loopback that stand for services: a test speaks to them over real HTTP.

`s3` is an object store. `wandb` takes what the wandb client sends; `wandb_files` reads what it leaves on disk
when offline. `messages_api` answers as Claude's Messages API does, and `jobs` as Ray's job server.
`dashboard` is the real optuna-dashboard. `proxy` stands between two machines and can be cut, and `ports`
finds a free port. Each server is started by a context manager.
"""
