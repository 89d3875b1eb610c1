"""steer.yaml: how a person tells a run to change its course, and how the run takes such an order.

The file is a box for letters: whoever steers puts it into the run directory, the run takes it out at its next
decision and writes into its ledger what it made of it.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from agents.language.proposal import NAME_LENGTH, Branch
from agents.language.validation import unreadable
from search.config.own import branch_by_hand
from search.storage.bucket import Bucket, TakenError
from search.storage.local_files import ORDER
from search.storage.object_store import is_url
from trainers.component import Frozen
from trainers.files import replace_file
from trainers.printable import one_line

MOST_BYTES = 200_000  # of an order: a run reads it between two trials
TRIES = 8  # at a URL, while others steer too


def _branch(value: Any) -> Any:
    return branch_by_hand(value, "A branch that a person added.")


class Order(Frozen):
    """What a person wants of a run; what is left out stays as it is. id: of an order that `steer` wrote."""

    id: str = ""
    trials: Annotated[int | None, Field(description="Methods to try, as search.trials.")] = None
    hours: Annotated[float | None, Field(description="Hours of training, as search.max_hours.")] = None
    stop: Annotated[tuple[str, ...], Field(description="Branches that train no further.")] = ()
    add: Annotated[
        tuple[Annotated[Branch, BeforeValidator(_branch)], ...],
        Field(
            description="Further branches, as in a proposal; family, parent and hypothesis may be left out."
        ),
    ] = ()
    pause: Annotated[bool | None, Field(description="true: no trial starts until an order says false.")] = (
        None
    )
    finish: Annotated[bool, Field(description="true: confirm what has been found so far.")] = False

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it wants, by place."""
        wanted = {"search.trials": self.trials, "search.max_hours": self.hours}
        return {place: value for place, value in wanted.items() if value is not None}

    def then(self, later: "Order") -> "Order":
        """Both orders in one; where they differ, the later holds."""
        both = {name: getattr(later, name) for name in later.model_fields_set}
        both["stop"] = tuple(dict.fromkeys(self.stop + later.stop))
        both["add"] = self.add + tuple(branch for branch in later.add if branch not in self.add)
        return Order.model_validate(dict(self) | both)


class _Loader(yaml.SafeLoader):
    """Reads YAML in which nothing stands for something else: a few lines of it can mean gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node; raises YAMLError for an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("write out what *names stand for")
        return super().compose_node(parent, index)


def read_order(text: str | bytes, place: str = ORDER) -> Order:
    """The order in a file's text, whatever it holds. Raises ValueError, one line, if there is none."""
    if len(text) > MOST_BYTES:
        raise ValueError(f"{place}: is longer than {MOST_BYTES} bytes, which no order is")
    try:
        values = yaml.load(text, _Loader)  # a SafeLoader
        plain = json.dumps(values, default=str)
    except RecursionError:
        raise ValueError(f"{place}: cannot be read as YAML: it is nested too deeply") from None
    except (ValueError, TypeError, yaml.YAMLError) as error:  # TypeError: a key that is a date
        raise ValueError(f"{place}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{place}: must say one of {', '.join(list(Order.model_fields)[1:])}")
    try:
        return Order.model_validate_json(plain)
    except ValidationError as error:
        problem = next(unreadable(error))
        raise ValueError(f"{place}: {_in_words(problem.place, values)}: {problem.text}") from None


ITEMS = {"add": "branch", "slots": "slot", "options": "option", "params": "parameter", "stop": "branch"}


def _in_words(place: str, values: dict[str, Any]) -> str:
    """A place of an order as people say it, numbers from 1: `branch 1 to add (mine), family`.

    place: such as `add[0].family`. values: the order, which has the names of branches.
    """
    words = []
    for part in place.split("."):
        found = re.fullmatch(r"(\w+)\[(\d+)\]", part)
        if found is None or found[1] not in ITEMS:
            words.append(part)
            continue
        item = f"{ITEMS[found[1]]} {int(found[2]) + 1}"
        words.append(item if words else f"{item} to {found[1]}{_named(values, found[1], int(found[2]))}")
    return ", ".join(words)


def _named(values: dict[str, Any], key: str, index: int) -> str:
    """A branch's name in brackets; nothing where it has none."""
    value = values[key][index]
    name = value.get("name") if isinstance(value, dict) else None
    return f" ({one_line(name[:NAME_LENGTH])})" if isinstance(name, str) and name else ""


def said(order: Order) -> dict[str, Any]:
    """What an order says, as plain values; without what it leaves as it is."""
    named = order.model_dump(mode="json")
    return {name: named[name] for name in named if getattr(order, name) not in (None, (), "", False)} | (
        {"pause": False} if order.pause is False else {}
    )


def put_order(out: str, order: Order) -> None:
    """Leave an order for the run in a directory or at a URL, with what it has not taken yet of earlier ones.

    Raises OSError if it cannot be written.
    """
    if is_url(out):
        _put_at_url(Bucket(out), order)
        return
    with _one_at_a_time(Path(out).expanduser()) as folder:
        replace_file(folder / ORDER, _with_earlier(waiting(out), order))


def _put_at_url(bucket: Bucket, order: Order) -> None:
    """Write an order unless another person has written meanwhile; then try again with that one's in it."""
    for _ in range(TRIES):
        found = bucket.read_version(ORDER)
        text = _with_earlier(_readable(found[0]) if found else None, order)
        try:
            bucket.write_if(ORDER, text.encode(), found[1] if found else None)
        except TakenError:
            continue
        return
    raise OSError(f"{ORDER}: others steer at the same moment; try again")


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[Path]:
    """Two persons who steer at the same moment wait for each other: neither order replaces the other."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def _with_earlier(before: Order | None, order: Order) -> str:
    """An order and what waits already, as the text of one file."""
    order = (before.then(order) if before else order).model_copy(update={"id": secrets.token_hex(6)})
    return yaml.safe_dump(said(order), sort_keys=False)


def waiting(out: str) -> Order | None:
    """The order that the run has not taken yet; None without, or if it cannot be read."""
    try:
        text = Bucket(out).read(ORDER) if is_url(out) else (Path(out).expanduser() / ORDER).read_bytes()
    except FileNotFoundError:
        return None
    return _readable(text)


def _readable(text: bytes) -> Order | None:
    try:
        return read_order(text)
    except ValueError:
        return None
