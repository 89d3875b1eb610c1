"""YAML and overrides in, one frozen config out; whatever is wrong with them is one line."""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Tag, ValidationError

from search.config.schema import RunConfig


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config in a YAML file, with `key.sub=value` overrides applied.

    A task without a seed of its own takes the run's. Raises ValueError, one line naming the place, the value
    and the remedy, for whatever is wrong.
    """
    try:
        settings = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file; see configs/ for examples") from None
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: bytes that are no text, no such date
        raise ValueError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: must be a mapping of settings, got {type(settings).__name__}")
    for override in overrides:
        _override(settings, override)
    task = settings.get("task")
    if isinstance(task, dict):
        task.setdefault("seed", settings.get("seed", 0))
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"{path}: {_first_problem(error)}") from None


def dump_config(config: RunConfig) -> str:
    """The config as YAML that `load_config` reads back to an equal object."""
    return yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False)


def _override(settings: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ValueError(f"--set {override}: must be key=value, such as search.trials=100")
    *parents, last = key.split(".")
    node = settings
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ValueError(f"--set {override}: {parent} is a value, not a group of settings")
        node = child
    try:
        node[last] = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        raise ValueError(f"--set {override}: {text!r} cannot be read as YAML") from None


def _first_problem(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        return f"{place} is missing; it has no default"
    if detail["type"] == "extra_forbidden":
        return f"{place} is not a setting{_nearest(RunConfig, detail['loc'])}"
    got = "" if isinstance(detail["input"], Mapping) else f", got {detail['input']!r}"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}{got}"


def _nearest(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """A hint at the nearest setting in the place of an unknown one."""
    names = sorted(_names(model, loc[:-1]))
    near = difflib.get_close_matches(str(loc[-1]), names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(names)}" if names else ""


def _names(model: Any, path: Sequence[int | str]) -> set[str]:
    """The settings at a path of an error; the kind of a union's member is a step of the path, too."""
    if not path:
        return set(model.model_fields)
    annotation = model.model_fields[path[0]].annotation if path[0] in model.model_fields else None
    members = [m for m in getattr(annotation, "__args__", (annotation,)) if hasattr(m, "model_fields")]
    rest = path[1:]
    if len(members) > 1:
        members = [m for m in members if rest and _tag(m) == rest[0]]
        rest = rest[1:]
    return _names(members[0], rest) if members else set()


def _tag(member: Any) -> str:
    """What a union's member is called in the path of an error: its kind, or its tag where it has none."""
    tags = [one.tag for one in getattr(member, "__metadata__", ()) if isinstance(one, Tag)]
    return str(tags[0] if tags else member.model_fields["kind"].default)
