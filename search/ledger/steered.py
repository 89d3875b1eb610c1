"""A person changes the course of a run: the event, and the sum of such events."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field, JsonValue

from agents.language.proposal import Branch, Prose
from search.ledger.event import Event

Source = Literal["steer", "resume", "wandb"]
NAMES: dict[Source, str] = {"steer": "steered", "resume": "resumed", "wandb": "steered on W&B's page"}
OF_THE_SEARCH = {"search.trials", "search.max_hours"}  # settings that let a search go on that had ended
BESIDE = ("faults.", "tracking.")  # settings that decide nothing about the outcome


class Steered(Event):
    """A person's order, as far as it was taken. by: where it came from.

    order: identifies the file that held it, so that no order is taken twice. settings: those that changed, by
    place. implied: those of them that nobody named, and that keep as it was what would move. config_sha256:
    of the config with them, None without. stop, add: branches. paused: whether new
    trials wait; None leaves that as it was. finish: to confirm what has been found, without further search or
    replicates. refused: what was not taken, a sentence each.
    """

    event: Literal["steered"] = "steered"
    by: Source = "steer"
    order: str = ""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    implied: tuple[str, ...] = ()
    config_sha256: str | None = None
    stop: tuple[str, ...] = ()
    add: tuple[Branch, ...] = ()
    paused: bool | None = None
    finish: bool = False
    refused: tuple[Prose, ...] = ()

    @property
    def reopens(self) -> bool:
        """Whether a finished run has more to do because of it."""
        return any(not place.startswith(BESIDE) for place in self.settings)

    @property
    def extends_search(self) -> bool:
        """Whether a search that has ended goes on because of it."""
        return bool(OF_THE_SEARCH & self.settings.keys())

    @property
    def extends_replication(self) -> bool:
        """Whether further replicates may come because of it."""
        return any(place.startswith("replication.") for place in self.settings)

    @property
    def asked(self) -> dict[str, JsonValue]:
        """The settings that a person named."""
        return {place: value for place, value in self.settings.items() if place not in self.implied}

    def sentences(self) -> Iterator[str]:
        """What was taken, then what was refused, each in a few words."""
        for place, value in self.asked.items():
            yield f"{place} is now {'null' if value is None else value}"
        yield from (f"branch {name} is stopped" for name in self.stop)
        yield from (f"branch {branch.name} is added" for branch in self.add)
        if self.paused is not None:
            yield "paused: no trial starts" if self.paused else "goes on"
        if self.finish:
            yield "the search ends, the confirmation begins"
        yield from (f"refused: {reason}" for reason in self.refused)


@dataclass(kw_only=True)
class Course:
    """What persons have made of a run.

    settings: that have changed since the run began, each with its last value. config_sha256: of the config
    with them. paused_by: sources that hold the run. finishing: whether to go straight to the confirmation.
    """

    orders: list[Steered] = field(default_factory=list)
    settings: dict[str, JsonValue] = field(default_factory=dict)
    config_sha256: str | None = None
    paused_by: set[Source] = field(default_factory=set)
    finishing: bool = False

    @property
    def paused(self) -> bool:
        """Whether new trials wait."""
        return bool(self.paused_by)

    def apply(self, event: Steered) -> None:
        """Add an order. Changed settings end a call to finish.

        Such a call, `resume` and an order of `steer` end every pause; W&B's page ends its own.
        """
        self.orders.append(event)
        self.settings |= event.settings
        self.config_sha256 = event.config_sha256 or self.config_sha256
        if event.by == "resume" or event.finish:
            self.paused_by.clear()
        if event.reopens:
            self.finishing = False
        if event.by == "steer" and event.paused is False:
            self.paused_by.clear()
        elif event.paused is not None:
            (self.paused_by.add if event.paused else self.paused_by.discard)(event.by)
        self.finishing |= event.finish

    def has_taken(self, order: str) -> bool:
        """Whether the order in this file was taken."""
        return any(event.order == order for event in self.orders if order)
