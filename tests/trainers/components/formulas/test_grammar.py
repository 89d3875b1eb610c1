"""What a formula may be, and the sentence that says where one goes wrong."""

import pytest

from trainers.components.formulas.grammar import (
    DEPTH,
    LENGTH,
    STEPS,
    FormulaError,
    compact,
    parse,
    tokens,
)

NAMES = ("w", "probe")
FUNCTIONS = {"rank": 1, "clip": 3}


def polish(text: str) -> str:
    """The steps in reverse Polish notation."""
    return " ".join(step.name for step in parse(text, NAMES, FUNCTIONS))


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("w", "w"),
        ("1 + w * 2", "1 w 2 * +"),
        ("(1 + w) * 2", "1 w + 2 *"),
        ("w - 1 - 2", "w 1 - 2 -"),
        ("w / 2 / 3", "w 2 / 3 /"),
        ("-w * -2", "w minus 2 minus *"),
        ("1 - -w", "1 w minus -"),
        ("w + 1 <= probe * 2", "w 1 + probe 2 * <="),
        ("(w < 0.5) * (probe > 0.5)", "w 0.5 < probe 0.5 > *"),
        ("clip(w, 0, rank(probe))", "w 0 probe rank clip"),
        (" 1.5e-3*w ", "1.5e-3 w *"),
        (".5+2.", ".5 2. +"),
    ],
)
def test_operations_bind_as_in_school(text: str, steps: str) -> None:
    assert polish(text) == steps


def test_numbers_are_read() -> None:
    numbers = [step.number for step in parse("1.5e-3 + .5 + 2. + 10", NAMES, FUNCTIONS)]
    assert [number for number in numbers if number is not None] == [0.0015, 0.5, 2, 10]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "column 1: a value is missing before the end"),
        ("w +", "column 4: a value is missing before the end"),
        ("w ** 2", "column 4: a value is missing before *"),
        ("w w", "column 3: expected an operator or the end, got w"),
        ("2w", "column 2: expected an operator or the end, got w"),
        ("w)", "column 2: expected an operator or the end, got )"),
        ("(w", "column 3: the bracket of column 1 is not closed before this"),
        ("rank(w, w", "column 10: the bracket of column 5 is not closed before this"),
        ("w.real", "column 2: '.' has no meaning in a formula"),
        ("__import__", "column 1: '_' has no meaning in a formula"),
        ("w @ w", "column 3: '@' has no meaning in a formula"),
        ("w\n+1", "column 2: '\\n' has no meaning in a formula"),
        ("w × 2", "column 3: '\\xd7' has no meaning in a formula"),
        ("w\x00", "column 2: '\\x00' has no meaning in a formula"),
        ("prob", "column 1: there is no signal prob here; did you mean probe?"),
        ("1 + xyz", "column 5: there is no signal xyz here; there are w, probe"),
        ("eval(w)", "column 1: there is no function eval here; there are rank, clip"),
        ("rank", "column 1: rank needs brackets and 1 value"),
        ("w(1)", "column 1: there is no function w here; there are rank, clip"),
        ("1 + rank(w, w)", "column 5: rank takes 1 value, got 2"),
        ("clip(w)", "column 1: clip takes 3 values, got 1"),
        ("rank()", "column 6: a value is missing before )"),
        ("w < 1 < 2", "column 7: comparisons don't chain: multiply two of them, (x < y) * (y < z)"),
        ("1e300 * w", "column 1: a number is at most 1e+06, got 1e+300"),
        ("1e999", "column 1: a number is at most 1e+06, got inf"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_column(text: str, sentence: str) -> None:
    with pytest.raises(FormulaError) as error:
        parse(text, NAMES, FUNCTIONS)
    assert str(error.value) == sentence


def test_length_depth_and_steps_are_bounded() -> None:
    assert polish("(" * DEPTH + "w" + ")" * DEPTH) == "w"
    deep = f"column {DEPTH + 1}: brackets and minus signs go at most {DEPTH} deep"
    for text in ("(" * (DEPTH + 1) + "w", "-" * (DEPTH + 1) + "w", "rank(" * 40 + "w"):
        with pytest.raises(FormulaError, match="brackets and minus signs go at most"):
            parse(text, NAMES, FUNCTIONS)
    with pytest.raises(FormulaError, match=deep):
        parse("-" * (DEPTH + 1) + "w", NAMES, FUNCTIONS)
    with pytest.raises(FormulaError, match=f"at most {STEPS} numbers, signals and operations"):
        parse("+".join("1" * 149), NAMES, FUNCTIONS)
    with pytest.raises(FormulaError, match=f"a formula has at most {LENGTH} characters, got 10000000"):
        parse("w" * 10_000_000, NAMES, FUNCTIONS)


def test_brackets_that_are_closed_do_not_count_as_deep() -> None:
    assert polish("*".join(["(-w)"] * 20)).count("minus") == 20


def test_a_word_knows_its_column() -> None:
    assert [(token.text, token.column) for token in tokens(" w<= (2")] == [
        ("w", 2),
        ("<=", 3),
        ("(", 6),
        ("2", 7),
        ("", 8),
    ]


def test_spaces_do_not_count() -> None:
    assert compact(" rank( w ) + 1 ") == compact("rank(w)+1") == "rank(w)+1"
