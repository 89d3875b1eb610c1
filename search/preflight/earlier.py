"""The best methods of earlier runs as the first branches of a new one (`from_runs`)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from agents.language.proposal import Branch, Family, Proposal, slug
from agents.language.space import sample_methods
from agents.language.validation import problems
from agents.playbook.named import fixed_branch
from search.config.own import MOST_BRANCHES
from search.config.schema import RunConfig
from search.engine.compared.transfer import transferred
from search.engine.findings import tells_too_much
from search.engine.replication import Bounds, at_most_per_kind, standings
from search.ledger.record import Record
from search.storage.object_store import snapshot
from search.storage.openings import Registry
from search.storage.run_directory import RunDirectory
from trainers.method import Method
from trainers.printable import one_line

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EarlierRun:
    """A run that another begins with. name: as it calls itself, else its directory."""

    name: str
    config: RunConfig
    record: Record


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A method of an earlier run, as the naive baseline of the new one suggests. pgr: its mean there."""

    run: str
    branch: str
    family: Family
    method: Method
    pgr: float


def with_earlier(config: RunConfig) -> RunConfig:
    """The config with the best methods of `from_runs` before its own branches, a branch each.

    Each run's best comes first, then each run's second best: PGRs of different tasks do not compare. A run
    ranks its methods by lower bounds on their PGR on its search split, and gives one of a kind. A method that
    cannot run here is skipped, with a warning; one that the branches hold already is not added again. Raises
    ValueError, on one line, where a run cannot be read or has no scores, and where its scores may tell of
    test examples or hidden tasks of this one.
    """
    if not config.from_runs:
        return config
    return with_best([read_earlier(directory, config) for directory in config.from_runs], config)


def with_best(runs: Sequence[EarlierRun], config: RunConfig) -> RunConfig:
    """The config with the best methods of some runs before its own branches; see `with_earlier`."""
    own, added = config.branches, list[Branch]()
    taken = {branch.name for branch in own}
    room = min(config.from_runs_methods, MOST_BRANCHES - len(own))
    for earlier in _in_turn([_best(run, config) for run in runs]):
        branch = _branch(earlier, config, taken) if room > len(added) else None
        if branch is None or any(branch.slots == other.slots for other in added):
            continue
        if any(branch.slots == other.slots for other in own):
            room -= 1
            continue
        added.append(branch)
        taken.add(branch.name)
    return config.model_copy(update={"branches": (*added, *own)})


def adopt_openings(config: RunConfig) -> None:
    """Enter the openings of test examples by `from_runs`, as their caches know them, in this registry."""
    for directory in config.from_runs:
        there, record = _read(directory)
        if record.started is not None and there.cache_dir != config.cache_dir:
            Registry(config.cache_dir).adopt(there.cache_dir, record.started.id)


def read_earlier(directory: str, config: RunConfig) -> EarlierRun:
    """An earlier run.

    Raises ValueError, on one line, where it cannot be read, and where its scores may tell of test examples or
    hidden tasks of a run with this config.
    """
    there, record = _read(directory)
    if why := tells_too_much(there, config):
        raise ValueError(f"from_runs: {directory}: {why}, or leave it out")
    return EarlierRun(name=record.started.run if record.started else directory, config=there, record=record)


def _read(directory: str) -> tuple[RunConfig, Record]:
    try:
        with snapshot(directory) as path:
            return RunDirectory(path).load()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"from_runs: {one_line(str(error))}; name directories of runs, or leave it out"
        ) from None


def _best(run: EarlierRun, config: RunConfig) -> list[Earlier]:
    """The methods of a run, best first, one of a kind."""
    there, record = run.config, run.record
    methods = standings(there, record)
    if not methods:
        raise ValueError(f"from_runs: {run.name}: no trial of it has a score yet; leave it out")
    ranked = Bounds(there, methods, record.baselines).ranked()
    return [
        Earlier(
            run=run.name,
            branch=method.trial.branch,
            family=record.branches[method.trial.branch].branch.family,
            method=transferred(method.trial.method, there, config),
            pgr=method.search_pgr,
        )
        for method in at_most_per_kind(ranked, len(ranked), 1)
    ]


def _in_turn(runs: Sequence[Sequence[Earlier]]) -> Iterator[Earlier]:
    """The first of each run, then the second of each."""
    return (earlier for earlier in chain(*zip_longest(*runs)) if earlier is not None)


def _branch(earlier: Earlier, config: RunConfig, taken: set[str]) -> Branch | None:
    """The method as a branch that holds nothing else; None where it cannot run here, which is said."""
    branch = fixed_branch(
        _free_name(earlier.branch, taken),
        earlier.method,
        config.naive,
        f"It had a PGR of {earlier.pgr:.3f} on the search split of {one_line(earlier.run)[:80]}.",
    ).model_copy(update={"family": earlier.family})
    if why := _refused(branch, earlier.method, config):
        log.warning("from_runs: %s of %s is skipped: %s", earlier.branch, one_line(earlier.run), why)
        return None
    return branch


def _free_name(branch: str, taken: set[str]) -> str:
    name = slug(f"earlier-{branch}")
    number = 1
    while name in taken:
        number += 1
        name = f"{slug(f'earlier-{branch}')[:44]}-{number}"
    return name


def _refused(branch: Branch, method: Method, config: RunConfig) -> str | None:
    """Why the branch cannot be one of this run."""
    if not branch.slots:
        return "it is the naive baseline here"
    found = problems(
        Proposal(branches=(branch,), rationale=""),
        naive=config.naive,
        known_branches=(),
        known_methods=(),
        abilities=config.abilities,
    )
    if found:
        return one_line(found[0].text)
    if next(iter(sample_methods(branch, config.naive))).digest != method.digest:
        return "its settings cannot be written as a branch"
    return None
