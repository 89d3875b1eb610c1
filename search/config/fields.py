"""The settings of a config, read off its classes: names, defaults, what is allowed, and what they mean.

Error lines, shell completion, `python -m search settings` and docs/settings.md all ask here.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from search.config.allowed import Schema, allowed, choices, plain
from search.config.schema import RunConfig

Model = type[BaseModel]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a config may say in one place, such as `search.pruning`.

    default: as YAML in one line, None where the setting is required. choices: all values, where they are few.
    is_group: it holds settings of its own. is_value: it may be set as a whole, to null or to a list at least.
    """

    name: str
    place: str
    default: str | None
    allowed: str
    choices: tuple[str, ...]
    description: str
    is_group: bool
    is_value: bool

    @property
    def is_kind(self) -> bool:
        """Whether it only names the class that stands there."""
        return self.name == "kind" and len(self.choices) == 1


@dataclass(frozen=True, kw_only=True)
class Group:
    """The settings that stand together in one place, of one kind of what may stand there.

    kind: None where only one class may stand here. about: the first paragraph of the class's docstring.
    """

    place: str
    kind: str | None
    model: Model
    about: str
    settings: tuple[Setting, ...]

    @property
    def title(self) -> str:
        """What the group is called: `search.pruning`, `agent.kind: claude` or `task.fields (pair)`."""
        if self.kind is None:
            return self.place
        is_named = "kind" in self.model.model_fields
        return f"{self.place}.kind: {self.kind}" if is_named else f"{self.place} ({self.kind})"


def groups(model: Model = RunConfig) -> list[Group]:
    """All groups of settings below a config class, itself first, in the order of its fields."""
    return list({(group.place, group.model): group for group in _groups(model, "", None)}.values())


def members(annotation: Any) -> dict[str, Model]:
    """The config classes that may stand where a field has this annotation, by their kind."""
    return dict(_members(annotation, None))


def model_at(model: Model, path: Sequence[int | str]) -> Model | None:
    """The class whose settings stand at a path as in pydantic's errors, or None.

    Of a union, the kind is a step of that path; of a list, the item's index is.
    """
    if not path:
        return model
    step, *rest = path
    if not isinstance(step, str) or step not in model.model_fields:
        return None
    kinds = members(model.model_fields[step].annotation)
    if rest and isinstance(rest[0], int):
        rest = rest[1:]
    if len(kinds) == 1:
        return model_at(next(iter(kinds.values())), rest)
    return model_at(kinds[str(rest[0])], rest[1:]) if rest and rest[0] in kinds else None


def _members(annotation: Any, tag: str | None) -> Iterator[tuple[str, Model]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        kind = annotation.model_fields.get("kind")
        yield tag or str(kind.default if kind else annotation.__name__), annotation
        return
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        tags = [part.tag for part in arguments[1:] if isinstance(part, Tag)]
        yield from _members(arguments[0], tags[0] if tags else None)
    elif get_origin(annotation) in (Union, UnionType, tuple):
        for argument in arguments:
            yield from _members(argument, None)


def _groups(model: Model, place: str, kind: str | None) -> Iterator[Group]:
    schemas = model.model_json_schema()["properties"]
    fields = model.model_fields.items()
    settings = tuple(_setting(place, name, field, schemas[name]) for name, field in fields)
    yield Group(place=place, kind=kind, model=model, about=_about(model), settings=settings)
    for setting in settings:
        kinds = members(model.model_fields[setting.name].annotation)
        for tag, member in kinds.items():
            place = setting.place if setting.is_group else f"{setting.place}[]"  # of each item of a list
            yield from _groups(member, place, tag if len(kinds) > 1 else None)


def _setting(place: str, name: str, field: FieldInfo, schema: Schema) -> Setting:
    is_list = get_origin(field.annotation) is tuple
    has_members = bool(members(field.annotation))
    return Setting(
        name=name,
        place=f"{place}.{name}" if place else name,
        default=None if field.is_required() else _yaml(schema.get("default")),
        allowed=allowed(schema),
        choices=choices(schema),
        description=_sentence(field.description or ""),
        is_group=has_members and not is_list,  # no dotted name reaches into a list
        is_value=not has_members or is_list or type(None) in get_args(field.annotation),
    )


def _yaml(value: Any) -> str:
    """A default as a config would say it, numbers to six digits."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        return plain(value)
    return value if isinstance(value, str) else json.dumps(value)


def _sentence(description: str) -> str:
    """A description, perhaps a fragment, as a sentence. A value it begins with, as in `bf16: ...`, stays."""
    if not description:
        return ""
    begins_with_value = description.partition(" ")[0].endswith(":")
    start = description[0] if begins_with_value else description[0].upper()
    return start + description[1:] + ("" if description.endswith(".") else ".")


def _about(model: Model) -> str:
    """The first paragraph of a class's docstring, in one line."""
    return " ".join((model.__doc__ or "").strip().partition("\n\n")[0].split())
