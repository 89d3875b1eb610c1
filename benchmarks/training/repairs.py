"""How many labels are right on real text: the weak supervisor's, repaired ones, and those that are kept.

    python -m benchmarks.training.repairs --data FOLDER --model FOLDER [--tasks a,b] [--examples N]

Labels come from TF-IDF with a logistic regression on 100, 200 and 300 rows, two supervisors of each; features
from the frozen model, by the code that trials run. Ground truth serves the comparison alone. Prints JSON:
accuracies over the supervisors, in order, of the labels that each repair makes and that each selection
keeps. FOLDER of the data holds NAME.train.jsonl.gz with `text` and `label`.
"""

import argparse
import gzip
import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from search.cli.output import stdout_for_json, write_json
from trainers.component import Component
from trainers.components.labels import Balanced, Hard, Median, Soft
from trainers.components.probing import fit_logistic
from trainers.components.repairs import CrossFit, EmHead, MeanDifference, Neighbours, NoisyChannel, Propagate
from trainers.components.selection import Confidence, Disagreement, OverlapDensity, Selection, plan
from trainers.components.targets import make_targets
from trainers.components.weak_labels import Evidence, harden
from trainers.data.examples import Examples
from trainers.models.pool import ModelPool
from trainers.models.prompts import render
from trainers.models.settings import HubModel
from trainers.training.loop import TokenInputs, forward

ROWS = (100, 100, 200, 200, 300, 300)
REPAIRS: dict[str, tuple[Component, ...]] = {
    "weak": (Hard(),),
    "balanced": (Balanced(),),
    "median": (Median(),),
    "neighbours": (Soft(), Neighbours()),
    "neighbours, share 1/2": (Soft(), Neighbours(share=0.5)),
    "noisy_channel, head": (Soft(), NoisyChannel(prior="head")),
    "propagate": (Hard(), Propagate()),
    "median, propagate": (Median(), Propagate()),
    "soft, propagate": (Soft(), Propagate()),
    "crossfit": (Hard(), CrossFit()),
    "median, crossfit": (Median(), CrossFit()),
    "median, em_head": (Median(), EmHead()),
    "median, mean_difference": (Median(), MeanDifference()),
    "median, propagate, crossfit": (Median(), Propagate(), CrossFit()),
    "median, crossfit, propagate": (Median(), CrossFit(), Propagate()),
    "median, em_head, crossfit": (Median(), EmHead(), CrossFit()),
    "median, mean_difference, crossfit": (Median(), MeanDifference(), CrossFit()),
}
KEPT: dict[str, Selection] = {
    "confidence, balanced": Confidence(balanced=True),
    "disagreement 1/2": Disagreement(share=0.5),
    "overlap_density": OverlapDensity(),
}
Texts = Sequence[str]
Labels = NDArray[np.bool_]


def read(file: Path) -> tuple[list[str], Labels]:
    """The texts and labels of a file, in an order of chance that is always the same."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[i]["text"] for i in order], np.array([rows[i]["label"] == 1 for i in order])


def features(texts: Texts, model: Path, cache: Path) -> NDArray[np.float32]:
    """The frozen model's pooled features of the last layer, float32 [n, d]."""
    config = HubModel(path=str(model), max_length=64)
    pool = ModelPool(config, cache=cache)
    classifier = pool.fresh(seed=0)
    inputs = TokenInputs(tokens=render(config, Examples(texts=tuple(texts))), pad_id=pool.pad_id)
    found: NDArray[np.float32] = forward(
        partial(classifier.features, layer=pool.layer_at(1.0)), inputs, classifier
    ).numpy()
    return found


def weak_probs(texts: Texts, truth: Labels, asked: Texts) -> NDArray[np.float64]:
    """P(class 1) of the asked texts by TF-IDF and a logistic regression on the texts given."""
    documents = Counter(word for text in texts for word in set(text.lower().split()))
    place = {word: i for i, word in enumerate(documents)}
    rarity = np.array([1 + math.log((1 + len(texts)) / (1 + count)) for count in documents.values()])

    def vectors(some: Texts) -> torch.Tensor:
        counts = np.zeros((len(some), len(place)))
        for row, text in enumerate(some):
            for word in text.lower().split():
                if word in place:
                    counts[row, place[word]] += 1
        weighted = counts * rarity
        norms = np.linalg.norm(weighted, axis=1, keepdims=True)
        return torch.from_numpy(weighted / np.maximum(norms, 1e-12)).float()

    targets = torch.from_numpy(truth.astype(np.float32))
    weights, intercept = fit_logistic(vectors(texts), targets, ridge=1 / len(texts))
    return torch.sigmoid((vectors(asked) @ weights + intercept).double()).numpy()


def accuracies(evidence: Evidence, truth: Labels) -> dict[str, float]:
    """The share of right labels, repaired and kept."""
    hard = make_targets((Hard(),), evidence)
    right = {
        name: float((harden(make_targets(steps, evidence)) == truth).mean())
        for name, steps in REPAIRS.items()
    }
    for name, select in KEPT.items():
        kept = plan(select, evidence, hard).phases[0].weights > 0
        right[f"kept by {name}"] = float((harden(hard) == truth)[kept].mean())
    return right


def measure(task: Path, model: Path, cache: Path, examples: int) -> dict[str, list[float]]:
    """The accuracies of a task, of every supervisor in the order of `ROWS`."""
    texts, truth = read(task)
    strong = features(texts[:examples], model, cache)
    pool = np.arange(examples, len(texts))
    found: dict[str, list[float]] = {}
    for seed, rows in enumerate(ROWS):
        chosen = np.random.default_rng(seed).choice(pool, rows, replace=False)
        weak = weak_probs([texts[i] for i in chosen], truth[chosen], texts[:examples])
        evidence = Evidence(weak_probs=weak, features=lambda: strong, prior=_no_prior, seed=seed)
        for name, accuracy in accuracies(evidence, truth[:examples]).items():
            found.setdefault(name, []).append(round(accuracy, 4))
    return found


def _no_prior() -> NoReturn:
    raise AssertionError("no component here asks for it")


def report(tasks: Sequence[Path], model: Path, cache: Path, examples: int) -> dict[str, Any]:
    """For every task, each accuracy's mean and its values."""
    measured = {task.name.split(".")[0]: measure(task, model, cache, examples) for task in tasks}
    return {
        task: {name: {"mean": round(float(np.mean(all_)), 3), "values": all_} for name, all_ in found.items()}
        for task, found in measured.items()
    }


@stdout_for_json()
def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tasks", default="agnews_bt,sst2")
    parser.add_argument("--examples", type=int, default=1500)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    given = parser.parse_args()
    tasks = [given.data / f"{name}.train.jsonl.gz" for name in given.tasks.split(",")]
    write_json(report(tasks, given.model, given.cache, given.examples))


if __name__ == "__main__":
    main()
