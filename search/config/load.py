"""YAML and overrides in, one frozen config out; whatever is wrong with them is one line."""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import JsonValue, ValidationError

from search.config.fields import model_at
from search.config.schema import RunConfig

DATA = {".csv", ".tsv", ".jsonl", ".parquet", ".gz"}  # ends of names that no config has


def load_config(path: Path, overrides: Sequence[str] = (), branch_files: Sequence[Path] = ()) -> RunConfig:
    """The config in a YAML file, with `key.sub=value` overrides applied.

    branch_files: YAML or JSON, of a branch, a list of them, or a proposal; they are added to `branches`.
    Raises ValueError, one line naming the place, the value and the remedy, for whatever is wrong.
    """
    if path.suffix.lower() in DATA and path.is_file():
        raise ValueError(
            f"{path}: is data and no config: `python -m search init --data {path}` writes a config for it"
        )
    settings = _read(path, "see configs/ for examples")
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: must be a mapping of settings, got {type(settings).__name__}")
    for override in overrides:
        if parent := _put(settings, *_override(override)):
            raise ValueError(f"--set {override}: {parent} is a value, not a group of settings")
    if branch_files:
        own = settings.get("branches")
        added = [branch for file in branch_files for branch in _branches(file)]
        settings["branches"] = [*(own if isinstance(own, list) else ()), *added]
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"{path}: {_first_problem(error, settings)}") from None


def _read(path: Path, hint: str) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file; {hint}") from None
    except RecursionError:
        raise ValueError(f"{path}: cannot be read as YAML: it is nested too deeply") from None
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: bytes that are no text, no such date
        raise ValueError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None


def _branches(path: Path) -> list[Any]:
    """The branches in a file: one, a list, or those of a proposal."""
    found = _read(path, "name a file with a branch, as a proposal.json of a run holds them")
    if isinstance(found, Mapping):
        found = found.get("branches", [found])
    if not isinstance(found, list):
        raise ValueError(f"{path}: must hold a branch or a list of branches, got {type(found).__name__}")
    return found


def changed(config: RunConfig, settings: Mapping[str, JsonValue]) -> RunConfig:
    """The config with these settings, by place, such as `search.trials`.

    Raises ValueError, one line naming the place, the value and the remedy, if they cannot be.
    """
    if not settings:
        return config
    values = json.loads(config.model_dump_json())
    for place, value in settings.items():
        if parent := _put(values, place, value):
            raise ValueError(f"{place}: {parent} is a value, not a group of settings")
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ValueError(_first_problem(error, values)) from None


def setting(config: RunConfig, place: str) -> Any:
    """The value at a place such as `search.trials`, as YAML or JSON would have it; None if there is none."""
    value = json.loads(config.model_dump_json())
    for part in place.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def follows_from_methods(config: RunConfig, place: str, wanted: Any) -> bool:
    """Whether a setting has another value than was wanted, since the config names its methods."""
    return bool(config.methods) and setting(config, place) != wanted


def dump_config(config: RunConfig) -> str:
    """The config as YAML that `load_config` reads back to an equal object."""
    return yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False)


def overrides_of(overrides: Sequence[str]) -> dict[str, Any]:
    """The settings of `key=value` texts, by place. Raises ValueError, one line, for one that is none."""
    return dict(map(_override, overrides))


def _override(override: str) -> tuple[str, Any]:
    place, equals, text = override.partition("=")
    if not equals or not place:
        raise ValueError(f"--set {override}: must be key=value, such as search.trials=100")
    try:
        return place, yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        raise ValueError(f"--set {override}: {text!r} cannot be read as YAML") from None


def _put(settings: dict[str, Any], place: str, value: Any) -> str | None:
    """Set the value at a place such as `search.trials`; returns the part of the place that is no group."""
    *parents, last = place.split(".")
    node = settings
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            return parent
        node = child
    node[last] = value
    return None


def _first_problem(error: ValidationError, settings: Any) -> str:
    details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    place = _place(detail["loc"], settings)
    if detail["type"] == "missing":
        return f"{place} is missing; it has no default{_meaning(detail['loc'])}"
    if detail["type"] == "extra_forbidden":
        return f"{place} is not a setting{_nearest(detail['loc'])}"
    got = "" if isinstance(detail["input"], Mapping) else f", got {detail['input']!r}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{place}: {message}{got}{_meaning(detail['loc'])}" if place else message


def _place(loc: tuple[int | str, ...], settings: Any) -> str:
    """A setting as its user writes it: without the kinds that choose between the members of a union."""
    parts, node = list[str](), settings
    for number, part in enumerate(loc, start=1):
        children = dict(enumerate(node)) if isinstance(node, list) else node
        known = isinstance(children, dict) and part in children
        is_kind = isinstance(node, dict) and (number < len(loc) or part == node.get("kind"))
        if known or not is_kind:
            parts.append(str(part))
        if known:
            node = children[part]
    return ".".join(parts)


def _meaning(loc: tuple[int | str, ...]) -> str:
    """The first sentence about a setting, as the end of an error."""
    model = model_at(RunConfig, loc[:-1]) if loc else None
    field = model.model_fields.get(str(loc[-1])) if model else None
    if field is None or not field.description:
        return ""
    return f" ({field.description.partition('. ')[0].rstrip('.')})"


def _nearest(loc: tuple[int | str, ...]) -> str:
    """A hint at the nearest setting in the place of an unknown one."""
    model = model_at(RunConfig, loc[:-1])
    names = sorted(model.model_fields) if model else []
    near = difflib.get_close_matches(str(loc[-1]), names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(names)}" if names else ""
