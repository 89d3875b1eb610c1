"""How many pairs are answered right by students in one order and in both, and after a probe without labels.

    python -m benchmarks.training.pairs --data FOLDER --model FOLDER [--tasks a,b] [--student probe]

FOLDER of the data holds NAME.train.jsonl.gz and NAME.test.jsonl.gz with prompt, chosen and rejected; or with
text and label, of which pairs of a text of class 1, the better one, and of class 0 are made. Supervisors
score single responses by TF-IDF and a logistic regression on a few hundred; a pair's weak label is the
difference of its two log-odds. Students are trained as trials are. Ground truth serves the comparison alone.
Prints JSON of accuracies on test pairs: of the supervisors, of each method over them, of students of the
truth in one order and in both.
"""

import argparse
import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.training.repairs import weak_probs
from search.cli.output import stdout_for_json, write_json
from trainers.components.labels import Median, Soft
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders, PlainInputs
from trainers.components.repairs import (
    Consistency,
    CrossFit,
    EmHead,
    MeanDifference,
    Neighbours,
    Propagate,
    Repair,
)
from trainers.components.selection import Agreement
from trainers.components.staging.members import Ensemble
from trainers.components.students import Full, Probe, StudentConfig
from trainers.components.weak_labels import logit, sigmoid
from trainers.data.examples import Examples, SplitName
from trainers.data.tokens import Tokens
from trainers.method import Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import ask, render
from trainers.models.settings import HubModel
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig
from trainers.trial.workbench import Materials, Workbench

Array = NDArray[Any]
Pairs = tuple[Examples, Array]  # and whether the second response is the better one
STUDENTS: dict[str, tuple[StudentConfig, Adamw]] = {
    "probe": (Probe(), Adamw(lr=0.01, epochs=5)),
    "full": (Full(), Adamw(lr=1e-3, epochs=3)),
}
MENDED: tuple[Repair, ...] = (Neighbours(), Propagate(), CrossFit(), EmHead(), MeanDifference())
METHODS: dict[str, dict[str, Any]] = {
    "naive": {},
    "averaged answers": {"inputs": PlainInputs(answer="averaged")},
    "both orders, answers as shown": {"inputs": BothOrders(answer="as_shown")},
    "both orders": {"inputs": BothOrders()},
    "both orders, soft": {"inputs": BothOrders(), "labels": Soft()},
    "both orders, consistency": {"inputs": BothOrders(), "labels": Soft(), "repair": Consistency()},
    "both orders, half consistency": {
        "inputs": BothOrders(),
        "labels": Soft(),
        "repair": Consistency(strength=0.5),
    },
    "both orders, agreement": {"inputs": BothOrders(), "labels": Soft(), "select": Agreement()},
    "consistency search without evolution": {
        "inputs": BothOrders(),
        "labels": Soft(),
        "select": Agreement(),
        "members": Ensemble(count=5, aggregate="trimmed", trim=0.2),
    },
} | {
    f"both orders, median, {repair.kind}": {"inputs": BothOrders(), "labels": Median(), "repair": repair}
    for repair in MENDED
}


def read(file: Path) -> Pairs:
    """The pairs of a file in an order that is always the same, half of them with the better one last."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rng = np.random.default_rng(0)
    rows = [rows[i] for i in rng.permutation(len(rows))]
    if "chosen" not in rows[0]:
        good, bad = ([row["text"] for row in rows if row["label"] == label] for label in (1, 0))
        rows = [{"prompt": "Which one?", "chosen": a, "rejected": b} for a, b in zip(good, bad, strict=False)]
    second = rng.permutation(np.arange(len(rows)) % 2).astype(np.bool_)
    better_first = Examples(
        texts=tuple(row["prompt"] for row in rows),
        pairs=tuple((row["chosen"], row["rejected"]) for row in rows),
    )
    return better_first.exchanged(second), second


def some(pairs: Pairs, start: int, count: int) -> Pairs:
    """Consecutive pairs."""
    examples, second = pairs
    rows = slice(start, start + count)
    return Examples(texts=examples.texts[rows], pairs=(examples.pairs or ())[rows]), second[rows]


def supervise(taught: Pairs, *asked: Pairs) -> list[Array]:
    """P(second is better) of all asked pairs, by a bag of words of single responses."""
    examples, second = taught
    texts = [text for pair in examples.pairs or () for text in pair]
    better = np.stack([~second, second], axis=1).ravel()
    responses = [text for pairs, _ in asked for pair in pairs.pairs or () for text in pair]
    scores = logit(weak_probs(texts, better, responses)).reshape(-1, 2)
    cuts = np.cumsum([len(pairs) for pairs, _ in asked])[:-1]
    return np.split(sigmoid(scores[:, 1] - scores[:, 0]), cuts)


class Kept:
    """Arrays that several benches share."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def __call__(self, name: str, compute: Callable[[], Array], /) -> Array:
        """The array of this name, computed by who asks first."""
        if name not in self._arrays:
            self._arrays[name] = compute()
        return self._arrays[name]


def measure(task: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All figures of a task."""
    train, test = read(task), read(task.with_name(task.name.replace(".train.", ".test.")))
    transfer, test = some(train, 0, given.examples), some(test, 0, given.test)
    weak = [
        supervise(some(train, given.examples + i * given.rows, given.rows), transfer, test)
        for i in range(given.supervisors)
    ]
    model = HubModel(path=str(given.model), max_length=given.max_length)
    shown: Mapping[SplitName, Examples] = {"transfer": transfer[0], "test": test[0]}
    tokens: dict[SplitName, Tokens] = {split: render(model, of) for split, of in shown.items()}
    swapped: dict[SplitName, Tokens] = {split: render(model, of.exchanged()) for split, of in shown.items()}
    kept, pool = Kept(), ModelPool(model, cache=given.cache)

    def bench(*probs: Array) -> Workbench:
        materials = Materials(
            weak_probs=np.stack(probs).astype(np.float32),
            tokens=tokens,
            swapped=swapped,
            questions=ask(model, transfer[0]),
        )
        return Workbench(materials, pool, EngineConfig(), kept)

    taught, of_truth = bench(*(of_transfer for of_transfer, _ in weak)), bench(transfer[1])

    def right(where: Workbench, slots: dict[str, Any], seed: int) -> float:
        student, optim = STUDENTS[given.student]
        method = Method(**{"student": student, "optim": optim} | slots)
        (report,) = where.train(method, seed=seed, split="test", rungs=(1.0,))
        return float(((report.predictions > 0.5) == test[1]).mean())

    seeds = range(given.supervisors)
    return {
        "supervisors": _summary([float(((p > 0.5) == test[1]).mean()) for _, p in weak]),
        "of the truth": {name: right(of_truth, METHODS[name], 0) for name in ("naive", "both orders")},
        "methods": {
            name: _summary([right(taught, slots, seed) for seed in seeds])
            for name, slots in tqdm(METHODS.items(), desc=task.name.split(".")[0])
        },
    }


def _summary(values: list[float]) -> dict[str, Any]:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
    return {
        "mean": round(float(np.mean(values)), 4),
        "se": None if error is None else round(float(error), 4),
        "values": [round(value, 4) for value in values],
    }


@stdout_for_json()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tasks", default="sst2,hh_harmless")
    parser.add_argument("--student", choices=list(STUDENTS), default="probe")
    parser.add_argument("--examples", type=int, default=1200, help="transfer pairs")
    parser.add_argument("--test", type=int, default=800, help="test pairs")
    parser.add_argument("--rows", type=int, default=200, help="pairs that a supervisor learns from")
    parser.add_argument("--supervisors", type=int, default=5)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    given = parser.parse_args()
    warm_up(EngineConfig())
    tasks = [given.data / f"{name}.train.jsonl.gz" for name in given.tasks.split(",")]
    write_json({task.name.split(".")[0]: measure(task, given) for task in tasks})


if __name__ == "__main__":
    main()
