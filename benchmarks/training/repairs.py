"""How many labels are right on real text: the weak supervisor's, repaired ones, and those that are kept.

    python -m benchmarks.training.repairs --data FOLDER --model FOLDER [--tasks a,b] [--examples N]

Labels come from TF-IDF with a logistic regression on 100, 200 and 300 rows, two supervisors of each; features
from the frozen model, by the code that trials run. Ground truth serves the comparison alone. Prints JSON:
accuracies over the supervisors, in order, of the labels that each repair makes and that each selection keeps,
and the performance gap recovered by a linear student of these labels on other texts. FOLDER of the data holds
NAME.train.jsonl.gz and NAME.test.jsonl.gz with `text` and `label`.
"""

import argparse
import functools
import gzip
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from search.cli.output import stdout_for_json, write_json
from trainers.component import Component
from trainers.components.labels import Balanced, Hard, Median, Soft
from trainers.components.probing import fit_logistic, standardise
from trainers.components.repairs import CrossFit, EmHead, MeanDifference, Neighbours, NoisyChannel, Propagate
from trainers.components.selection import Confidence, Disagreement, OverlapDensity, Selection, plan
from trainers.components.targets import make_targets
from trainers.components.weak_labels import Evidence, harden
from trainers.data.examples import Examples
from trainers.models.pool import Classifier, ModelPool
from trainers.models.prompts import render
from trainers.models.settings import HubModel
from trainers.training.loop import TokenInputs, forward

ROWS = (100, 100, 200, 200, 300, 300)
RIDGE = 0.01  # of the students: little, so that they can learn the mistakes of their labels
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
Labels = NDArray[np.bool_]


def read(file: Path) -> tuple[list[str], Labels]:
    """The texts and labels of a file, in an order of chance that is always the same."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[i]["text"] for i in order], np.array([rows[i]["label"] == 1 for i in order])


def features(texts: Sequence[str], model: Path, cache: Path) -> NDArray[np.float32]:
    """The frozen model's pooled features of the last layer, float32 [n, d]."""
    config, pool, classifier = _reader(model, cache)
    inputs = TokenInputs(tokens=render(config, Examples(texts=tuple(texts))), pad_id=pool.pad_id)
    found: NDArray[np.float32] = forward(
        functools.partial(classifier.features, layer=pool.layer_at(1.0)), inputs, classifier
    ).numpy()
    return found


@functools.cache
def _reader(model: Path, cache: Path) -> tuple[HubModel, ModelPool, Classifier]:
    config = HubModel(path=str(model), max_length=64)
    pool = ModelPool(config, cache=cache)
    return config, pool, pool.fresh(seed=0)


def weak_probs(texts: Sequence[str], truth: Labels, asked: Sequence[str]) -> NDArray[np.float64]:
    """P(class 1) of the asked texts by TF-IDF and a logistic regression on the texts given."""
    documents = Counter(word for text in texts for word in set(text.lower().split()))
    place = {word: i for i, word in enumerate(documents)}
    rarity = np.array([1 + math.log((1 + len(texts)) / (1 + count)) for count in documents.values()])

    def vectors(some: Sequence[str]) -> torch.Tensor:
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


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Features of texts by the strong model, float32 [n, d], and their classes."""

    features: NDArray[np.float32]
    truth: Labels


def student_accuracy(learn: Texts, targets: NDArray[np.floating], kept: Labels, test: Texts) -> float:
    """The share of test texts that a logistic regression on the kept examples' targets gets right."""
    both = standardise(np.concatenate([learn.features, test.features]))
    own = both[: len(learn.truth)][torch.from_numpy(kept)]
    weights, intercept = fit_logistic(own, torch.from_numpy(targets[kept]).float(), ridge=RIDGE)
    answers = both[len(learn.truth) :] @ weights + intercept
    return float(((answers > 0).numpy() == test.truth).mean())


def made(evidence: Evidence) -> Iterator[tuple[str, NDArray[np.float32], Labels]]:
    """The name of every repair and selection, its labels, and which of them are kept."""
    everything = np.ones(len(evidence.weak_probs), dtype=np.bool_)
    for name, steps in REPAIRS.items():
        yield name, make_targets(steps, evidence), everything
    hard = make_targets((Hard(),), evidence)
    for name, select in KEPT.items():
        yield f"kept by {name}", hard, plan(select, evidence, hard).phases[0].weights > 0


def measure(task: Path, model: Path, cache: Path, examples: int) -> dict[str, dict[str, list[float]]]:
    """Accuracies and PGRs on a task, for every supervisor in the order of `ROWS`."""
    texts, truth = read(task)
    asked, answers = read(task.with_name(task.name.replace(".train.", ".test.")))
    asked, answers = asked[:examples], answers[:examples]
    learn = Texts(features=features(texts[:examples], model, cache), truth=truth[:examples])
    test = Texts(features=features(asked, model, cache), truth=answers)
    everything = np.ones(len(learn.truth), dtype=np.bool_)
    ceiling = student_accuracy(learn, learn.truth.astype(np.float32), everything, test)
    pool = np.arange(examples, len(texts))
    found: dict[str, dict[str, list[float]]] = {}
    for seed, rows in enumerate(ROWS):
        chosen = np.random.default_rng(seed).choice(pool, rows, replace=False)
        weak = weak_probs([texts[i] for i in chosen], truth[chosen], [*texts[:examples], *asked])
        floor = float((harden(weak[examples:]) == answers).mean())
        evidence = Evidence(
            weak_probs=weak[:examples], features=lambda: learn.features, prior=_no_prior, seed=seed
        )
        for name, labels, kept in made(evidence):
            values = found.setdefault(name, {"right": [], "pgr": []})
            values["right"].append(float((harden(labels) == learn.truth)[kept].mean()))
            transfer = student_accuracy(learn, labels, kept, test)
            values["pgr"].append((transfer - floor) / (ceiling - floor))
    return found


def _no_prior() -> NoReturn:
    raise AssertionError("no component here asks for it")


def report(tasks: Sequence[Path], model: Path, cache: Path, examples: int) -> dict[str, Any]:
    """For every task and repair: accuracy of the labels and PGR of their student, means and values."""
    return {
        task.name.split(".")[0]: {
            name: {
                "mean": round(float(np.mean(values["right"])), 3),
                "values": [round(value, 4) for value in values["right"]],
                "pgr": round(float(np.mean(values["pgr"])), 3),
                "pgr_se": round(float(np.std(values["pgr"], ddof=1) / math.sqrt(len(ROWS))), 3),
                "pgr_values": [round(value, 3) for value in values["pgr"]],
            }
            for name, values in measure(task, model, cache, examples).items()
        }
        for task in tasks
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
