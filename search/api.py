"""The search from Python: start a run, read what came of it, train one method. See docs/api.md.

Imports neither Ray nor torch before something needs them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from agents.playbook.named import named_method
from search.cli.output import console
from search.config.load import load_config
from search.config.own import OwnMethod, resolved
from search.config.schema import RunConfig
from search.ledger.record import Record
from search.output.frames import curves_frame, methods_frame, seeds_frame, trials_frame
from search.output.openings import openings_part, openings_text
from search.storage.object_store import is_url, run_path, snapshot
from search.storage.run_directory import RunDirectory, claimed_run
from trainers.method import Method
from trainers.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandas import DataFrame
    from rich.console import Console

    from search.workers.single import Trained

Config = RunConfig | str | Path | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it stood when it was read.

    directory: its path or URL. outcome: the content of result.json, None before it is written.
    """

    directory: str
    config: RunConfig
    record: Record
    outcome: dict[str, Any] | None

    def __repr__(self) -> str:
        """One line, which a notebook shows: where it lies, and its outcome or how far it has come."""
        if self.outcome is None:
            return f"<Run {self.directory}: {len(self.record.trials)} trials, no outcome yet>"
        best = self.outcome["best"]
        gap = "" if best["pgr"] is None else f", PGR {best['pgr']:.3f} ± {best['se']:.3f}"
        name = best.get("branch", "method")
        return f"<Run {self.directory}: best {name}, accuracy {best['accuracy']:.3f}{gap}>"

    @property
    def best(self) -> Method | None:
        """The method that ranked first on the search split; None before there is an outcome."""
        return None if self.outcome is None else Method.model_validate(self.outcome["best"]["method"])

    @property
    def openings(self) -> str:
        """Who has opened the test split, in words, as `status` says it; empty before it was opened."""
        return openings_text(openings_part(self.record, self.config.from_runs))

    def methods(self) -> "DataFrame":
        """Naive and the confirmed methods on the test split. Raises ValueError before there is an outcome."""
        return methods_frame(self._finished())

    def seeds(self) -> "DataFrame":
        """The same, a row for each seed."""
        return seeds_frame(self._finished())

    def trials(self) -> "DataFrame":
        """Every trial with its method, scores, seconds and cause."""
        return trials_frame(self.record)

    def curves(self) -> "DataFrame":
        """Every rung that a trial reached."""
        return curves_frame(self.record)

    def _finished(self) -> dict[str, Any]:
        if self.outcome is None:
            raise ValueError(
                f"{self.directory}: has no outcome yet; go on with `python -m search resume {self.directory}`"
            )
        return self.outcome


def configure(config: Config, **settings: Any) -> RunConfig:
    """A config from a YAML file, a mapping or another config.

    settings: overrides, such as `search={"trials": 20}`, which change what they name and leave the rest; a
    setting of its own is also `**{"search.trials": 20}`. Raises ValueError, on one line.
    """
    overrides = [
        f"{place}={_yaml(value)}" for key, given in settings.items() for place, value in _flat(key, given)
    ]
    if isinstance(config, str | Path):
        return load_config(Path(config), overrides)
    plain = config.model_dump(mode="json") if isinstance(config, RunConfig) else dict(config)
    with scratch_folder() as folder:
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(plain))
        try:
            return load_config(path, overrides)
        except ValueError as error:
            raise ValueError(str(error).removeprefix(f"{path}: ")) from None


def _flat(place: str, value: Any) -> "Iterator[tuple[str, Any]]":
    """A group of settings one by one, unless it names another kind of it."""
    if isinstance(value, Mapping) and value and "kind" not in value:
        for name, part in value.items():
            yield from _flat(f"{place}.{name}", part)
        return
    yield place, value


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def run(config: Config, out: str | Path | None = None, *, progress: bool = False) -> Run:
    """Search and confirm, or go on with an interrupted run of the same config.

    out: the run directory or a URL; None: runs/NAME-TIME. progress: shows on stderr what the command line
    shows. Raises ValueError for a mistake in the input, RuntimeError if no outcome can be reached,
    KeyboardInterrupt after a Ctrl-C, with everything saved.
    """
    from search.campaign import run_campaign
    from search.preflight.earlier import adopt_openings, with_earlier

    loaded = with_earlier(configure(config))
    adopt_openings(loaded)
    target = str(out) if out is not None else f"runs/{loaded.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    with run_path(target, loaded) as path, claimed_run(path, loaded) as directory:
        run_campaign(directory, _console(shown=progress), target if is_url(target) else None)
    return load(target)


def load(directory: str | Path) -> Run:
    """A run of a directory or URL, finished or not. Raises ValueError if there is none."""
    with snapshot(str(directory)) as path:
        found = RunDirectory(path)
        config, record = found.load()
        return Run(directory=str(directory), config=config, record=record, outcome=found.read_result())


def compare(
    config: Config,
    methods: Sequence[str | Mapping[str, Any]],
    *,
    seeds: int | None = None,
    out: str | Path | None = None,
    progress: bool = False,
) -> Run:
    """Train and confirm methods without a search, beside naive.

    methods: names of the playbook, or mappings of a `name` and the slots that differ from naive's. seeds:
    fresh ones of each; None: those of the config.
    """
    settings: dict[str, Any] = {"methods": list(methods), "replication.seeds": 1}
    if seeds is not None:
        settings["confirm.seeds"] = seeds
    return run(configure(config, **settings), out, progress=progress)


def check(config: Config, *, timed: bool = True, usd_per_gpu_hour: float | None = None) -> dict[str, Any]:
    """What a run of a config would meet and take, as `check --json` writes it."""
    from search.preflight.check import check as checked

    return checked(configure(config), timed=timed, usd_per_hour=usd_per_gpu_hour)


def methods() -> list[dict[str, Any]]:
    """The playbook's methods: name, family, hypothesis, slots, variants and cost of each."""
    from search.output.catalogue import all_methods

    return all_methods()


def method(config: Config, name: str, **slots: Mapping[str, Any]) -> Method:
    """A method on top of the config's naive baseline.

    name: of the playbook, or any other beside slots, such as `loss={"kind": "gce", "q": 0.5}`.
    """
    naive = configure(config).naive
    if not slots:
        return named_method(name, naive)
    return resolved(OwnMethod(name=name, slots={slot: dict(given) for slot, given in slots.items()}), naive)


def train(config: Config, method: Method, *, seed: int | None = None, progress: bool = False) -> "Trained":
    """Train one method on weak labels, as a trial of a search is trained, to its end.

    seed: decides its initial head, the order of batches and its weak supervisor; None: that of a search.
    Returns its predictions on the search split with their score; the test split stays closed. Baselines that
    are not in the cache are trained before. Raises as `run`.
    """
    from cluster.runtime import ray_runtime
    from search.interrupt import interruptible
    from search.phases import prepare_with_progress
    from search.workers.loading import load as load_sources
    from search.workers.preparation import with_gpus
    from search.workers.single import check_single, train_once
    from search.workers.sources import with_commits

    pinned, _ = with_commits(configure(config), None)
    check_single(pinned, method)
    loaded = load_sources(pinned)
    chosen = pinned.search_seed() if seed is None else pinned.first_seed + seed
    with interruptible() as stop, ray_runtime(pinned.trial.environment):
        pinned = with_gpus(pinned, stop.check)
        prepared = prepare_with_progress(pinned, loaded, _console(shown=progress), stop)
        return train_once(pinned, loaded, prepared, method, chosen, stop.check)


def _console(*, shown: bool) -> "Console":
    people = console(as_json=True)
    people.quiet = not shown
    return people
