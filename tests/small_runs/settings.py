"""Settings of small runs: the offline task in a size at which a whole search takes seconds."""

from pathlib import Path

REPO = Path(__file__).parents[2]
PRETRAIN_STEPS = 250
# Ray takes the machine for one of a single CPU: one worker does what two would, at half the cost of starting.
ONE_CPU = ("RAY_OVERRIDE_RESOURCES", '{"CPU": 1}')
# The offline task in a size at which a whole search takes seconds and there still is a gap to recover.
SMALL_TASK = [
    "task.splits={weak_train: 300, transfer: 300, search: 300, test: 400}",
    "weak.optim={lr: 0.01, epochs: 3, batch_size: 32}",
    f"strong.model.pretrain_steps={PRETRAIN_STEPS}",
    "strong.optim={lr: 0.002, epochs: 2, batch_size: 32}",
    "baselines.seeds=2",
]
SMALL = [
    *SMALL_TASK,
    "search.trials=8",
    "search.round_trials=4",
    "search.pruning.min_steps=2",
    "replication={methods: 2, seeds: 2}",
    "confirm={finalists: 2, seeds: 2}",
]
