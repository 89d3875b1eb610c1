from typing import Any

import pytest

from search.config.allowed import allowed, choices, listed, plain

ENUM = {"enum": ["a", "b"], "type": "string"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 100_000}, "1 to 100000"),
        ({"type": "number", "minimum": 1e-6, "maximum": 0.1}, "1e-06 to 0.1"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.9999}, "above 0, at most 0.9999"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "at least 0, below 1"),
        ({"type": "integer"}, "any integer"),
        ({"type": "boolean"}, "true or false"),
        ({"type": "string"}, "text"),
        ({"type": "string", "pattern": "^a+$"}, "text matching `^a+$`"),
        (ENUM, "a or b"),
        ({"const": "toy", "type": "string"}, "toy"),
        ({"anyOf": [ENUM, {"type": "null"}]}, "a, b or null"),
        ({"anyOf": [{"const": "auto"}, ENUM]}, "auto, a or b"),
        ({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 2}, {"type": "null"}]}, "0 to 2 or null"),
        ({"type": "array", "items": ENUM}, "list (a or b)"),
        ({"type": "array", "items": ENUM, "maxItems": 4}, "list of at most 4 (a or b)"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 16},
         "list of 1 to 16 (any number)"),
        ({"$ref": "#/$defs/Price"}, "group of settings"),
        ({"anyOf": [{"$ref": "#/$defs/Price"}, {"type": "null"}]}, "group of settings or null"),
    ],
)  # fmt: skip
def test_what_is_allowed_in_words(schema: dict[str, Any], words: str) -> None:
    assert allowed(schema) == words


def test_choices_are_named_only_where_they_are_all() -> None:
    assert choices({"anyOf": [ENUM, {"type": "null"}]}) == ("a", "b", "null")
    assert choices({"anyOf": [ENUM, {"type": "integer"}]}) == ()
    assert choices({"type": "string"}) == ()


def test_an_enumeration() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a or b", "a, b or c"]


def test_numbers_without_needless_digits() -> None:
    assert [plain(100_000.0), plain(1 / 3), plain(0.25), plain(0)] == ["100000", "0.333333", "0.25", "0"]
