"""Branches and methods of the user's own, written in a config."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from agents.language.proposal import Branch, slug
from agents.playbook.named import NAIVE, fixed_branch, ideas, named_method
from trainers.component import Frozen
from trainers.method import SLOTS, Method

MOST_BRANCHES, MOST_METHODS = 8, 20
BY_HAND = {"family": "other", "parent": None}


def branch_by_hand(value: Any, hypothesis: str) -> Any:
    """A branch as in a proposal; what says nothing of its space may be left out.

    hypothesis: where it says none.
    """
    if not isinstance(value, Mapping):
        return value
    slots = value.get("slots")
    given = {**BY_HAND, "hypothesis": hypothesis, **value}
    return {**given, "slots": [_slot(slot) for slot in slots]} if isinstance(slots, list) else given


def _branch(value: Any) -> Any:
    return branch_by_hand(value, "A branch of the config.")


def _slot(value: Any) -> Any:
    options = value.get("options") if isinstance(value, Mapping) else None
    if not isinstance(options, list):
        return value
    return {**value, "options": [_option(one) for one in options]}


def _option(value: Any) -> Any:
    return {"params": [], **value} if isinstance(value, Mapping) else value


class OwnMethod(Frozen):
    """A method to train without a search: a name alone, or a name and slots beside it."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            description="name of the playbook (`python -m search methods`), or any other beside slots",
        ),
    ]
    slots: Annotated[
        dict[str, dict[str, Any]],
        Field(
            default_factory=dict,
            description="components that differ from naive's, by slot; also written beside the name, as "
            "`{name: mine, loss: {kind: gce}}`",
        ),
    ]


def _method(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, Mapping) and "slots" not in value:
        slots = {key: part for key, part in value.items() if key != "name"}
        return {"slots": slots} | ({"name": value["name"]} if "name" in value else {})
    return value


OwnBranches = Annotated[
    tuple[Annotated[Branch, BeforeValidator(_branch)], ...], Field(max_length=MOST_BRANCHES)
]
FromRuns = Annotated[
    tuple[str, ...],
    Field(
        max_length=16,
        description="Directories or URLs of earlier runs, of these tasks or others. The best methods of "
        "their searches are branches of the first round, before `branches`, fitted to this config's naive "
        "baseline; `branches` in the run's config.yaml holds them.",
    ),
]
FromRunsMethods = Annotated[
    int,
    Field(ge=1, le=MOST_BRANCHES, description="Methods of `from_runs` that the first round begins with."),
]
FromRunsScores = Annotated[
    int,
    Field(
        ge=0,
        le=256,
        description="At most so many scores of `from_runs` are the surrogate's prior, each run a task of its "
        "own to it; this search's scores take their places. 0: none.",
    ),
]
OwnMethods = Annotated[
    tuple[Annotated[OwnMethod, BeforeValidator(_method)], ...], Field(max_length=MOST_METHODS)
]


def resolved(own: OwnMethod, naive: Method) -> Method:
    """The method that a config means. Raises ValueError, on one line, where there is none."""
    if not own.slots:
        try:
            return named_method(own.name, naive)
        except ValueError as error:
            raise ValueError(f"methods: {error}") from None
    unknown = [slot for slot in own.slots if slot not in SLOTS]
    if unknown:
        raise ValueError(
            f"methods: {own.name}: there is no slot {unknown[0]!r}; the slots are {', '.join(SLOTS)}"
        )
    naive_slots = naive.model_dump()
    slots = {slot: _completed(given, naive_slots[slot]) for slot, given in own.slots.items()}
    try:
        return Method.model_validate(naive_slots | slots)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        raise ValueError(f"methods: {own.name}: {f'{place}: ' if place else ''}{message}") from None


def _completed(given: Mapping[str, Any], of_naive: Mapping[str, Any]) -> dict[str, Any]:
    """A component; of naive's own kind, what it leaves out is naive's."""
    same = given.get("kind", of_naive["kind"]) == of_naive["kind"]
    return {**of_naive, **given} if same else dict(given)


def branches_of(methods: tuple[OwnMethod, ...], naive: Method) -> tuple[Branch, ...]:
    """A branch for each method that is not naive, which is confirmed beside them anyway.

    Raises ValueError, on one line, for a method that cannot be.
    """
    return tuple(
        fixed_branch(_branch_name(own), resolved(own, naive), naive, _hypothesis(own))
        for own in methods
        if own.name != NAIVE
    )


def _branch_name(own: OwnMethod) -> str:
    return own.name if own.name in ideas() else slug(own.name)


def _hypothesis(own: OwnMethod) -> str:
    known = None if own.slots else ideas().get(own.name.partition(":")[0])
    return known.hypothesis if known else "A method of the config."


def without_search(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run of fixed methods: each is trained to its end, and all are confirmed.

    What says how to search is replaced; everything else stays as it is.
    """
    methods = settings["methods"]
    count = sum(
        one != NAIVE and not (isinstance(one, Mapping) and one.get("name") == NAIVE) for one in methods
    )
    if not count:
        raise ValueError("methods: name at least one method besides naive, which is always confirmed")
    return dict(settings) | {
        "search": _group(settings, "search")
        | {"trials": count, "round_trials": count, "effort": 1.0, "max_hours": None}
        | {"pruning": {"rungs": [1.0], "min_steps": 1}},
        "replication": {"seeds": 1} | _group(settings, "replication") | {"methods": count},
        "confirm": _group(settings, "confirm") | {"finalists": count},
    }


def _group(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = settings.get(name)
    return dict(found) if isinstance(found, Mapping) else {}
