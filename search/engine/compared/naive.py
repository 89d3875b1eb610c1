"""Naive on the search split: what the PGRs of the search are compared with.

Naive is trained after the replicates, on the seeds that the best method has, so that the two are paired: the
same supervisors, the same search examples. It is never chosen, whatever its PGR there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from search.config.schema import RunConfig
from search.engine.replication import Bounds, Standing, ended_replicates, planned_replication, standings
from search.ledger.record import Record
from trainers.method import Method


def planned_replicates(config: RunConfig, record: Record) -> list[tuple[str, Method, int]]:
    """The replicates known so far, as (branch, method, seed); at last those of naive, of no branch."""
    planned = planned_replication(config, record)
    found = [(standing.trial.branch, standing.method, seed) for standing, seed in planned]
    return [*found, *(("", config.naive, seed) for seed in _seeds(config, record, planned))]


def due_replicates(config: RunConfig, record: Record) -> list[tuple[str, Method, int]]:
    """Those of the plan that may start: naive's once all others have ended: no choice waits for it."""
    planned = planned_replicates(config, record)
    of_methods = [one for one in planned if one[1] != config.naive]
    ended = ended_replicates(record)
    chosen = all((method.digest, seed) in ended for _, method, seed in of_methods)
    return planned if chosen else of_methods


def _seeds(config: RunConfig, record: Record, planned: Sequence[tuple[Standing, int]]) -> list[int]:
    """The search seed of the method that led at the end of the search, then those of the replicates.

    None if no search trial has a PGR: there is nothing to compare then.
    """
    first = [replace(method, pgrs=method.pgrs[:1]) for method in standings(config, record)]
    ranked = Bounds(config, first, record.baselines).ranked()
    return list(dict.fromkeys([method.trial.seed for method in ranked[:1]] + [seed for _, seed in planned]))


def naive_pgrs(config: RunConfig, record: Record) -> dict[int, float]:
    """PGR of naive on the search split, by seed."""
    naive = config.naive.digest
    return {
        trial.seed: trial.last.pgr
        for trial in record.of_purpose("replicate")
        if trial.method.digest == naive and trial.last and trial.last.pgr is not None
    }


def naive_search_pgr(config: RunConfig, record: Record) -> float | None:
    """Its mean over seeds; None before naive was trained there."""
    found = naive_pgrs(config, record)
    return fmean(found.values()) if found else None


def search_gain(config: RunConfig, standing: Standing, of_naive: Mapping[int, float]) -> float | None:
    """The mean PGR of a method over naive's, on the seeds that both have; None where they share none."""
    seeds = (standing.trial.seed, *config.replication_seeds())
    gains = [
        pgr - of_naive[seed] for seed, pgr in zip(seeds, standing.pgrs, strict=False) if seed in of_naive
    ]
    return fmean(gains) if gains else None
