"""What a JSON schema allows, in words: `1 to 100`, `above 0, at most 1`, `a, b or null`."""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
GROUP = "group of settings"
ONE_SIDED = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "maximum": "at most",
}


def allowed(schema: Schema) -> str:
    """The values that a schema allows. A reference to another schema reads as `group of settings`."""
    if values := choices(schema):
        return listed(values)
    if "anyOf" in schema:
        return listed([allowed(option) for option in schema["anyOf"]])
    match schema.get("type"):
        case "integer" | "number" as kind:
            return _bounds(schema) or f"any {kind}"
        case "array":
            return _list(schema)
        case "string":
            return f"text matching `{schema['pattern']}`" if "pattern" in schema else "text"
        case "object" | None:
            return GROUP
        case kind:
            return str(kind)


def choices(schema: Schema) -> tuple[str, ...]:
    """All values that a schema allows, where it names them one by one; else none."""
    if "anyOf" in schema:
        options = [choices(option) for option in schema["anyOf"] if option.get("type") != "null"]
        null = ("null",) if len(options) < len(schema["anyOf"]) else ()
        return (*(value for option in options for value in option), *null) if all(options) else ()
    if schema.get("type") == "boolean":
        return ("true", "false")
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return tuple(str(value) for value in values)


def listed(words: Sequence[str]) -> str:
    """Words as an enumeration: `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def plain(number: float) -> str:
    """A number without needless digits: 100000 and 0.333333, neither 1e+05 nor 0.3333333333333333."""
    return str(int(number)) if number == int(number) else f"{number:g}"


def _bounds(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"{plain(schema['minimum'])} to {plain(schema['maximum'])}"
    return ", ".join(f"{word} {plain(schema[key])}" for key, word in ONE_SIDED.items() if key in schema)


def _list(schema: Schema) -> str:
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    count = f" of {fewest} to {most}" if fewest and most else f" of at most {most}" if most else ""
    return f"list{count} ({allowed(schema['items'])})"
