"""Whether a person's order can be followed, and what of it. Pure: a record in, an event out."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.language.proposal import Branch, Proposal
from search.config.load import changed, follows_from_methods
from search.config.schema import RunConfig
from search.engine.rounds import checked
from search.ledger.record import Record
from search.ledger.steered import Source, Steered
from search.steering.order import Order

FIXED = "the run trains the methods of its config, each once, and nothing else; start a new run for more"


@dataclass
class _Taken:
    """What of an order is taken so far, and why the rest is not."""

    config: RunConfig
    settings: dict[str, Any] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def steered(
    order: Order, config: RunConfig, record: Record, *, by: Source = "steer", identity: str = ""
) -> Steered:
    """What of an order the run takes, and why not the rest. config: as the run goes by now."""
    if record.finished:
        why = "the run has finished; " + (
            "it has read hidden tasks, so start a new one"
            if record.hidden_read
            else "extend it with resume --set"
        )
        return Steered(by=by, order=identity, refused=(why,))
    if record.hidden_read and order != Order(id=order.id, pause=order.pause):
        why = "the hidden tasks have been read: nothing of the search is left to decide"
        return Steered(by=by, order=identity, refused=(why,))
    taken = _Taken(config)
    _set(taken, order.settings)
    stop = tuple(_stopped(taken, order, record))
    add = _added(taken, order, record)
    finish = order.finish and _may_finish(taken, order, record)
    return Steered(
        by=by,
        order=identity,
        settings=taken.settings,
        config_sha256=taken.config.sha256 if taken.settings else None,
        stop=stop,
        add=add,
        paused=order.pause,
        finish=finish,
        refused=tuple(taken.refused),
    )


def _set(taken: _Taken, settings: Mapping[str, Any]) -> None:
    for place, value in settings.items():
        try:
            config = changed(taken.config, {place: value})
        except ValueError as error:
            taken.refused.append(str(error))
            continue
        if follows_from_methods(config, place, value):
            taken.refused.append(f"{place}: {FIXED}")
        elif config.sha256 != taken.config.sha256:
            taken.config = config
            taken.settings[place] = value


def _stopped(taken: _Taken, order: Order, record: Record) -> Iterator[str]:
    for name in dict.fromkeys(order.stop):
        if name not in record.branches:
            near = difflib.get_close_matches(name, record.branches, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(record.branches) or 'none'}"
            taken.refused.append(f"stop: there is no branch {name}; {hint}")
        elif not record.branches[name].stopped:
            yield name


def _added(taken: _Taken, order: Order, record: Record) -> tuple[Branch, ...]:
    """The branches that may be added: they pass the checks of a proposal, and there are trials for them."""
    if not order.add:
        return ()
    if taken.config.methods:
        taken.refused.append(f"add: {FIXED}")
        return ()
    over = record.search_over and not taken.settings
    if over or record.tally("search").started >= taken.config.search.trials:
        taken.refused.append("add: no trial is left for another branch; raise trials too")
        return ()
    proposal, problems = checked(taken.config, record, Proposal(branches=order.add, rationale=""))
    taken.refused += [f"add: {problem}" for problem in problems]
    return proposal.branches


def _may_finish(taken: _Taken, order: Order, record: Record) -> bool:
    if order.pause:
        taken.refused.append("finish: contradicts pause; give one of them")
    elif record.best() is None:
        taken.refused.append("finish: no trial has a score yet, so there is nothing to confirm")
    elif record.confirming:
        taken.refused.append(
            "finish: the search has ended and its confirmation has begun: wait for the outcome, or let the "
            "search go on with --trials"
        )
    else:
        return True
    return False
