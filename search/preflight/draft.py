"""A config for a data file: splits that fit it, lengths that fit its texts, and a comment on every choice."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from search.preflight.columns import Found, spelled_alike
from trainers.data.dataset import read_pool
from trainers.data.pool import Pool, shown
from trainers.data.settings import DatasetTask, PairFields, SingleFields, SplitSizes
from trainers.models.hub import hub_shape
from trainers.models.prompts import render
from trainers.models.settings import HubModel
from trainers.training.memory.model_size import room_for
from trainers.training.settings import EngineConfig

# Shares of all examples, and the most that a first search needs of each.
SHARES = {"weak_train": (0.22, 2000), "transfer": (0.44, 4000), "search": (0.12, 1000), "test": (0.22, 2000)}
FEWEST = 60  # examples; fewer tell no two methods apart
SAMPLE = 500  # examples whose lengths are looked at
BATCH, STEPS, MOST_EPOCHS = 32, 100, 10  # small data are passed over more often, for about so many steps
LONGEST = (1024, 512, 256, 128, 64)  # lengths to try: a model may have fewer positions
KEPT = 0.95  # share of the examples that fit whole
BAG_OF_WORDS = "bag_of_words"
SEEDS = 5  # of the baselines, and of the confirmation
OWN_ROWS = (30, 200)  # of each bag of words: fewer teach it nothing, more make it too strong for a gap
# Peak learning rate of a full fine-tuning by parameters: the usual values of models of these sizes.
RATES = ((1e7, 1e-3), (5e7, 2e-4), (5e8, 5e-5), (1e9, 2e-5))
ADAPTED = (1e-4, "{kind: lora, rank: 16}  # too large for a full fine-tuning: low-rank updates")
FROZEN = (1e-2, "{kind: probe}  # no GPU here: a head on frozen features; `full` trains all")
SMALL = 5e6  # parameters that a CPU trains fast enough


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A model as a config has it. path: hub id or folder. student: as YAML, None for the default."""

    path: str
    max_length: int
    lr: float
    epochs: int
    student: str | None = None


def pool_of(path: str, found: Found) -> Pool:
    """The distinct examples of a file; ValueError, on one line, if there are too few to search with."""
    kind = PairFields if found.has_pairs else SingleFields
    sizes = SplitSizes(weak_train=1, transfer=1, search=1, test=1)
    fields = kind.model_validate(found.fields)
    task = DatasetTask.model_validate(
        {"path": path, "fields": fields, "labels": found.labels, "empty": "leave_out", "splits": sizes}
    )
    pool = read_pool(task, path, "train", None)
    if len(pool.texts) < FEWEST:
        lost = pool.counts.left_out()
        raise ValueError(
            f"{path} has {len(pool.texts)} distinct examples{f' ({lost})' if lost else ''}, and a search "
            f"needs at least {FEWEST}: add more"
        )
    return pool


def split_sizes(examples: int, test: int | None = None) -> dict[str, int]:
    """Sizes of the four splits. test: examples of a test file of its own, None without one."""
    sizes = {name: min(most, int(share * examples)) for name, (share, most) in SHARES.items()}
    if test is not None:
        rest = sum(share for name, (share, _) in SHARES.items() if name != "test")
        sizes = {name: min(most, int(share / rest * examples)) for name, (share, most) in SHARES.items()} | {
            "test": min(SHARES["test"][1], test)
        }
    return sizes


def learner(path: str, pool: Pool, *, weak: bool) -> Learner:
    """A model with a length that nearly all examples fit, and a learning rate usual for its size.

    Raises ValueError, on one line, if the model cannot be loaded.
    """
    length = _fitting_length(path, pool)
    model = HubModel(path=path, max_length=length)
    room = room_for(model, EngineConfig(), 1.0, 1)
    parameters = 0 if room is None else room.weights.body
    learned = split_sizes(len(pool.texts))["weak_train" if weak else "transfer"]
    epochs = min(MOST_EPOCHS, max(4 if weak else 2, math.ceil(STEPS / math.ceil(learned / BATCH))))
    if parameters > SMALL and not torch.cuda.is_available():
        return Learner(path=path, max_length=length, lr=FROZEN[0], epochs=max(5, epochs), student=FROZEN[1])
    for most, lr in RATES:
        if parameters < most:
            return Learner(path=path, max_length=length, lr=lr, epochs=epochs)
    return Learner(path=path, max_length=length, lr=ADAPTED[0], epochs=epochs, student=ADAPTED[1])


def bag_of_words(strong: Learner) -> Learner:
    """A weak supervisor that counts words, split by the strong model's tokenizer."""
    student = f"{{kind: {BAG_OF_WORDS}}}"
    return Learner(path=strong.path, max_length=strong.max_length, lr=0.1, epochs=20, student=student)


def _fitting_length(path: str, pool: Pool) -> int:
    sample = pool.take(range(min(SAMPLE, len(pool.texts))))
    examples, _ = shown(sample, np.random.default_rng(0), None)
    cap = _longest(path)
    lengths = render(HubModel(path=path, max_length=cap), examples).lengths
    return min(cap, max(32, 16 * -(-int(np.quantile(lengths, KEPT)) // 16)))


def _longest(path: str) -> int:
    """The largest of LONGEST that a model has positions for."""
    for length in LONGEST[:-1]:
        try:
            shape = hub_shape(HubModel(path=path, max_length=length))
        except ValueError as error:
            if "max_length must be at most" not in str(error):
                raise
            continue
        padded = shape.model_type in ("roberta", "xlm-roberta", "camembert")  # they begin after the padding
        if not padded or length < shape.max_position_embeddings - 1:
            return length
    return LONGEST[-1]


def run_name(path: str) -> str:
    """A name for a run: the file's own, without its endings."""
    stem = re.sub(r"[^a-zA-Z0-9._-]+", "-", Path(path).name.split(".")[0]).strip("-._")
    return (stem or "run")[:64]


def config_text(
    path: str,
    found: Found,
    pool: Pool,
    columns: Mapping[str, Any],
    *,
    weak: Learner,
    strong: Learner,
    test: tuple[str, int] | None = None,
) -> str:
    """The config as YAML with comments. test: the path and the examples of a test file, None without one."""
    name = run_name(path)
    sizes = split_sizes(len(pool.texts), None if test is None else test[1])
    others = [column for column in columns if column not in found.fields.values()]
    lines = [
        f"# Weak-to-strong methods for {_comment(path)}. First: python -m search check FILE, then",
        "# python -m search baselines FILE (is there a gap?) and python -m search run FILE.",
        "# Every setting: python -m search settings",
        f"name: {_flow(name)}",
        "",
        "task:",
        "  kind: dataset",
        f"  path: {_flow(path)}  # from the folder that commands are started in",
    ]
    if test is not None:
        lines.append(f"  test_path: {_flow(test[0])}")
    lines += [f"  # {_comment(key)}: {_comment(why)}" for key, why in found.why.items() if why != "named"]
    lines.append(f"  fields: {_flow(dict(found.fields))}")
    if others:
        lines.append(f"  # other fields: {_comment(', '.join(others[:8]))}")
        lines.append(
            "  # one may be `group` in fields, whose examples stay together: check names splits that fit"
        )
    if found.labels is not None:
        if alike := spelled_alike(found.labels):
            lines.append(f"  # labels that differ in case alone: {_comment(', '.join(alike))}")
        lines.append(f"  labels: {_flow(dict(found.labels))}  # the class of each; null leaves its rows out")
    lines += [
        f"  empty: leave_out  # rows that lack a value of these fields: {pool.counts.empty}",
        f"  # {len(pool.texts)} distinct examples. weak_train trains the weak supervisor, students see",
        "  # transfer, search chooses methods, test is opened once, at the end",
        f"  splits: {_flow(sizes)}",
        "",
        "weak:  # the supervisor: weaker than the student, and better than chance",
        *_learner_lines(weak),
        "",
        "strong:  # the student; on ground truth, the ceiling",
        *_learner_lines(strong),
        "",
        *_baselines_lines(weak, sizes["weak_train"]),
        "search:",
        "  trials: 40  # methods to try; most are stopped early",
        "  round_trials: 10  # then the next proposal",
        "",
        f"confirm: {{finalists: 3, seeds: {SEEDS}}}  # fresh seeds, on the test split",
    ]
    if torch.cuda.is_available():
        lines.append("trial: {gpus: null}  # as much of a GPU as a trial needs")
    lines.append("# agent: {kind: claude, max_usd: 5}  # Claude proposes; without a key the playbook does")
    return "\n".join(lines) + "\n"


def _baselines_lines(weak: Learner, weak_train: int) -> list[str]:
    """Rows of its own for each bag of words; nothing for others, or with too few rows."""
    fewest, most = OWN_ROWS
    rows = min(most, weak_train // (2 * SEEDS))  # supervisors of the search, and as many of the confirmation
    if weak.student is None or BAG_OF_WORDS not in weak.student or rows < fewest:
        return []
    return [
        "# Rows that each weak supervisor alone learns from; with more it is better, and the gap smaller",
        f"baselines: {{seeds: {SEEDS}, own_rows: {rows}}}",
        "",
    ]


def _learner_lines(learner: Learner) -> list[str]:
    model = {"kind": "hub", "path": learner.path, "max_length": learner.max_length}
    student = [] if learner.student is None else [f"  student: {learner.student}"]
    return [
        f"  model: {_flow(model)}",
        *student,
        f"  optim: {{lr: {learner.lr:g}, epochs: {learner.epochs}, batch_size: {BATCH}}}",
    ]


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False)
    text = text.removesuffix("...\n").strip()
    same = yaml.safe_load(text) == value  # not where it holds a line break of Unicode
    return text if same else json.dumps(value)


def _comment(text: str) -> str:
    """A text that may stand in a comment: one printable line."""
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
