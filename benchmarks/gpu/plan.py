"""What a config takes on a GPU, before it is rented: seconds, memory and dollars of a trial and of a run.

    python -m benchmarks.gpu plan configs/qwen.yaml --usd-per-hour 3.5 [--gpus 8] [--set search.trials=400]

Needs no GPU. Lengths are those of the config's data in the models' own tokens, or of --lengths: a file with a
number a line, or `chat` for lengths as those of chat preferences. Seconds follow from measured figures: of an
H200, or of --figures, a file that `python -m benchmarks.gpu shape` wrote on another card. Micro-batch and
checkpointing are those that a training would choose within --gpu-gb. The seconds to load a model and to start
a training are assumed; methods are priced as `search check` prices them.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.gpu.figures import H200, Figure, read_figures
from benchmarks.gpu.passes import Lengths, Pass, planned, shape_of
from benchmarks.training.models import chat_lengths
from search.cli.output import stdout_for_json, write_json
from search.config.load import load_config
from search.config.schema import RunConfig
from search.output.live_view.likely import likely_methods, offered
from search.preflight.forecast import (
    Phase,
    hidden_phases,
    naive_s,
    over_tasks,
    part_of,
    phases,
)
from search.preflight.summary import duration
from trainers.data.dataset import load_task
from trainers.method import Method
from trainers.models.hub import is_decoder
from trainers.models.prompts import render

CHAT_EXAMPLES = 4096  # whose lengths are drawn from


def drawn(lengths: Lengths, examples: int) -> Lengths:
    """So many lengths, drawn from those that are known."""
    if len(lengths) == examples:
        return lengths
    return np.random.default_rng(0).choice(lengths, size=examples)


def read_lengths(config: RunConfig, source: str | None) -> dict[str, Lengths]:
    """Tokens of the examples that each role learns from; raises ValueError, on one line."""
    sizes = {"weak": config.baselines.own_rows or config.task.splits.weak_train}
    sizes |= {"strong": config.task.splits.transfer}
    if source == "chat":
        return {role: drawn(chat_lengths(CHAT_EXAMPLES), size) for role, size in sizes.items()}
    if source is not None:
        try:
            known = np.array([int(line) for line in Path(source).read_text().split()], dtype=np.int64)
        except (OSError, ValueError) as error:
            raise ValueError(f"--lengths {source} cannot be read: {error}") from None
        if not len(known) or known.min() < 1:
            raise ValueError(f"--lengths {source}: give the tokens of an example a line, 1 or more")
        of_role = {"weak": config.weak.model, "strong": config.strong.model}
        return {
            role: np.minimum(drawn(known, size), getattr(of_role[role], "max_length", known.max()))
            for role, size in sizes.items()
        }
    try:
        inputs = load_task(config.task).inputs
        return {
            "weak": render(config.weak.model, inputs["weak_train"]).lengths,
            "strong": render(config.strong.model, inputs["transfer"]).lengths,
        }
    except ValueError as error:
        raise ValueError(f"{error}; or give --lengths FILE, or --lengths chat") from None


def plan(config: RunConfig, source: str | None, figures: Sequence[Figure], gpu_bytes: int) -> dict[str, Any]:
    """Seconds on one GPU at a time, and bytes, of each model on each task and of each phase of a run.

    source: of the lengths, see `read_lengths`. Raises ValueError, on one line.
    """
    if config.engine.precision != "bf16":
        raise ValueError(
            "engine.precision is fp32, of which there are no figures: --set engine.precision=bf16"
        )
    tasks = {
        name or config.name: _on_task(part_of(one, len(config.searched)), source, figures, gpu_bytes)
        for name, one in config.searched.items()
    }
    first, *_ = tasks.values()
    weak, strong = (first.models[role].speed for role in ("weak", "strong"))
    run = [
        *over_tasks([task.phases for task in tasks.values()]),
        *hidden_phases(first.config, weak, strong, first.methods),
    ]
    trial = Phase(
        name="one trial", trainings=len(tasks), train_s=sum(task.trial_s for task in tasks.values())
    )
    whole = Phase(
        name="all",
        trainings=sum(phase.trainings for phase in run),
        train_s=math.fsum(phase.train_s for phase in run),
    )
    return {
        "name": config.name,
        "tasks": {name: task.shown() for name, task in tasks.items()},
        "phases": [asdict(phase) for phase in (trial, *run, whole)],
    }


@dataclass(frozen=True, kw_only=True)
class OnTask:
    """A run's trainings on one of its tasks. models: by role. trial_s: seconds of a trial such as naive's."""

    config: RunConfig
    lengths: dict[str, Lengths]
    models: dict[str, Pass]
    methods: list[Method]
    trial_s: float
    phases: list[Phase]

    def shown(self) -> dict[str, Any]:
        """What is said of the task."""
        return {
            "lengths": {
                role: {"mean": float(of.mean()), "longest": int(of.max())}
                for role, of in self.lengths.items()
            },
            "models": {role: asdict(found) for role, found in self.models.items()},
        }


def _on_task(config: RunConfig, source: str | None, figures: Sequence[Figure], gpu_bytes: int) -> OnTask:
    lengths = read_lengths(config, source)
    models = {
        role: planned(learner, shape_of(learner), config.engine, lengths[role], figures, gpu_bytes)
        for role, learner in (("weak", config.weak), ("strong", config.strong))
    }
    known = {"prior": is_decoder(shape_of(config.strong)), "intermediates": 0}
    methods = likely_methods(config, offered(config).model_copy(update=known))
    weak, strong = models["weak"].speed, models["strong"].speed
    return OnTask(
        config=config,
        lengths=lengths,
        models=models,
        methods=methods,
        trial_s=naive_s(config, strong, predicted=config.task.splits.search),
        phases=phases(config, weak, strong, methods),
    )


def priced(found: dict[str, Any], *, gpus_a_trial: float, gpus: int, usd_per_hour: float | None) -> None:
    """Add GPU-hours, hours on so many GPUs and dollars to the phases of a plan."""
    for phase in found["phases"]:
        hours = phase["train_s"] / 3600 * gpus_a_trial
        together = max(1, min(int(gpus / gpus_a_trial), phase["trainings"]))
        phase["gpu_hours"], phase["wall_h"] = hours, phase["train_s"] / 3600 / together
        phase["usd"] = None if usd_per_hour is None else hours * usd_per_hour


def shown(found: dict[str, Any], gpu_gb: float) -> Table:
    """The plan as a table."""
    table = Table(title=f"Plan of {found['name']}: predicted", title_justify="left")
    for column in ("what", "trainings", "a training", "GPU-hours", "hours", "dollars"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for phase in found["phases"]:
        each = phase["train_s"] / phase["trainings"] if phase["trainings"] else 0.0
        table.add_row(
            phase["name"],
            str(phase["trainings"]),
            duration(each),
            f"{phase['gpu_hours']:.1f}",
            f"{phase['wall_h']:.1f}",
            "–" if phase["usd"] is None else f"{phase['usd']:,.2f}",
        )
    lines = []
    for name, task in found["tasks"].items():
        before = f"{name}, " if len(found["tasks"]) > 1 else ""
        lines += [
            f"{before}{role}: {_said(model, task['lengths'][role])} of {gpu_gb:g} GB with margins"
            for role, model in task["models"].items()
        ]
    table.caption, table.caption_justify = "\n".join(lines), "left"
    return table


def _said(model: dict[str, Any], lengths: dict[str, float]) -> str:
    return (
        f"{model['model']}, {lengths['mean']:.0f} tokens on average and {lengths['longest']} at most, "
        f"micro-batch {model['micro_batch']}, "
        f"{'with' if model['checkpointing'] else 'without'} checkpointing, "
        f"{'compiled' if model['compiled'] else 'uncompiled'}, {model['speed']['step_s']:.2f} s a step, "
        f"{model['bytes'] / 1e9:.1f} GB"
    )


@stdout_for_json()
def main(argv: list[str]) -> None:
    """Print the plan: JSON, and on stderr a table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.gpu plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--usd-per-hour", type=float, help="the price of a GPU-hour")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs to train on at once (default 1)")
    parser.add_argument("--gpu-gb", type=float, default=141.0, help="memory of a GPU in GB (default 141)")
    parser.add_argument("--figures", type=Path, help="what `benchmarks.gpu shape` wrote on your card")
    parser.add_argument("--lengths", metavar="FILE", help="tokens of an example a line; or chat")
    arguments = parser.parse_args(argv)
    try:
        config = load_config(arguments.config, arguments.overrides)
        figures = read_figures(arguments.figures) if arguments.figures else H200
        found = plan(config, arguments.lengths, figures, int(arguments.gpu_gb * 1e9))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    a_trial = (config.trial.gpus or 1.0) * config.trial.processes
    priced(found, gpus_a_trial=a_trial, gpus=arguments.gpus, usd_per_hour=arguments.usd_per_hour)
    write_json(found, indent=1)
    Console(stderr=True).print(shown(found, arguments.gpu_gb))
