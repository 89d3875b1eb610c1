"""A gang's losses against those of one process with the same global batch, for ZeRO 0 to 3.

    python -m benchmarks.training.gang [--members 2] [--quick]

Every member is a process on this machine (gloo on the CPU, nccl where each has a GPU). After every step the
loss over all examples is taken; the largest difference between the gang and one process is printed as JSON,
and as a table on stderr.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search.cli.output import stdout_for_json, write_json
from trainers.components.losses import LogConf, Loss, Xent
from trainers.components.optim import Adamw
from trainers.components.selecting.plans import Phase, Plan
from trainers.data.settings import SplitSizes, ToyTask
from trainers.data.tokens import Tokens
from trainers.data.toy_task import load_toy
from trainers.gang import GangMember, follow, lead, meeting_point
from trainers.models.pool import ModelPool
from trainers.models.settings import ToyModel
from trainers.models.toy_model import MAX_TOKENS, toy_tokenizer
from trainers.training.loop import Floats, Recipe, TokenInputs, fit, predict
from trainers.training.settings import EngineConfig

EXAMPLES = 44  # with a batch of 8, an epoch ends on one of 4
LOSSES: dict[str, Loss] = {"xent": Xent(), "logconf": LogConf(aux=0.7, warmup=0.0)}
Case = dict[str, Any]


def examples(bucket: tuple[int, int] | None) -> tuple[TokenInputs, Floats]:
    """Toy reviews, and soft labels that a dozen steps can learn: whether a review is longer than most.

    bucket: the least and most tokens of a review. Compiled layers are compiled for each padded length.
    """
    task = load_toy(ToyTask(splits=SplitSizes(weak_train=1, transfer=3 * EXAMPLES, search=1, test=1)))
    tokenizer = toy_tokenizer("weak")
    low, high = bucket or (1, MAX_TOKENS)
    drawn = tokenizer(list(task.inputs["transfer"].texts))["input_ids"]
    ids = [row for row in drawn if low <= len(row) <= high][:EXAMPLES]
    tokens = Tokens(
        ids=np.concatenate(ids).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int64),
    )
    lengths = np.diff(tokens.offsets)
    targets = (0.1 + 0.8 * (lengths > np.median(lengths))).astype(np.float32)
    return TokenInputs(tokens=tokens, pad_id=int(tokenizer.pad_token_id)), targets


def losses(case: Case, cache: Path) -> Iterator[float]:
    """The loss over all examples after every step of a training."""
    torch.set_num_threads(1)
    inputs, targets = examples(case.get("bucket"))
    model = ModelPool(ToyModel(size="weak"), cache=cache).fresh(0)
    recipe = Recipe(
        plan=Plan(phases=(Phase(start=0.0, weights=np.ones(EXAMPLES, dtype=np.float32), lr_scale=1.0),)),
        loss=LOSSES[case["loss"]],
        optim=Adamw(lr=0.01, epochs=2, batch_size=8),
        engine=EngineConfig(
            zero_stage=case["zero_stage"],
            micro_batch=case["micro_batch"],
            compile=case.get("compile", "auto"),
        ),
        seed=0,
    )
    rungs = [step / 12 for step in range(1, 13)]
    for _ in fit(model, list(model.parameters()), inputs, targets, recipe, rungs):
        probs = predict(model, inputs).astype(np.float64)
        yield float(-np.mean(targets * np.log(probs) + (1 - targets) * np.log(1 - probs)))


def _follower(member: GangMember, cases: list[Case], cache: Path) -> None:
    _one_gpu(member.rank)
    follow(member, lambda: (loss for case in cases for loss in losses(case, cache)))


def _leader(member: GangMember, cases: list[Case], cache: Path, results: "Queue[list[float]]") -> None:
    _one_gpu(member.rank)
    for found in lead(member, lambda: (list(losses(case, cache)) for case in cases)):
        results.put(found)


def _one_gpu(rank: int) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = str(rank) if torch.cuda.device_count() > rank else ""


def run_gang(members: int, cases: list[Case], cache: Path) -> list[list[float]]:
    """The losses of every case as rank 0 sees them; raises RuntimeError where a member fails."""
    processes = multiprocessing.get_context("spawn")
    results: Queue[list[float]] = processes.Queue()
    meet = meeting_point()
    gang = [GangMember(rank=rank, world_size=members, init_method=meet) for rank in range(members)]
    started = [processes.Process(target=_leader, args=(gang[0], cases, cache, results))]
    started += [processes.Process(target=_follower, args=(member, cases, cache)) for member in gang[1:]]
    for process in started:
        process.start()
    found = [results.get(timeout=600) for _ in cases]
    for process in started:
        process.join(120)
    if any(process.exitcode != 0 for process in started):
        raise RuntimeError(f"members ended with {[process.exitcode for process in started]}")
    return found


def parity(members: int, cases: list[Case]) -> list[Case]:
    """Every case, with the largest relative difference of a loss and how far the loss fell."""
    with tempfile.TemporaryDirectory() as cache:
        together = run_gang(members, cases, Path(cache))
        alone = {data: _alone(*data, Path(cache)) for data in {_data(case) for case in cases}}
    rows = []
    for case, gang in zip(cases, together, strict=True):
        single = alone[_data(case)]
        difference = float(np.max(np.abs(np.array(gang) / np.array(single) - 1)))
        row = {**case, "first_loss": single[0], "last_loss": single[-1], "largest_difference": difference}
        rows.append(row)
    return rows


def _data(case: Case) -> tuple[str, tuple[int, int] | None]:
    return case["loss"], case.get("bucket")


def _alone(loss: str, bucket: tuple[int, int] | None, cache: Path) -> list[float]:
    """What cases of this loss and bucket are compared with: one process, nothing split or compiled."""
    plain = {"zero_stage": 0, "micro_batch": None, "compile": "off"}
    return list(losses({"loss": loss, "bucket": bucket, **plain}, cache))


def cases(quick: bool) -> list[Case]:
    """ZeRO stage by loss by micro-batch."""
    return [
        {"zero_stage": stage, "loss": loss, "micro_batch": micro}
        for stage in (0, 1, 2, 3)
        for loss in LOSSES
        for micro in ((None,) if quick else (None, 3))
    ]


def table(rows: list[Case]) -> str:
    """One line a case."""
    lines = [f"{'ZeRO':>4} {'loss':<8} {'micro-batch':>11} {'first':>8} {'last':>8} {'difference':>11}"]
    for row in rows:
        micro = row["micro_batch"] or "whole"
        ends = f"{row['first_loss']:8.4f} {row['last_loss']:8.4f}"
        lines.append(
            f"{row['zero_stage']:>4} {row['loss']:<8} {micro:>11} {ends} {row['largest_difference']:11.1e}"
        )
    return "\n".join(lines)


@stdout_for_json()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="without micro-batches")
    arguments = parser.parse_args()
    rows = parity(arguments.members, cases(arguments.quick))
    write_json({"members": arguments.members, "cases": rows}, indent=1)
    print(table(rows), file=sys.stderr)


if __name__ == "__main__":
    main()
