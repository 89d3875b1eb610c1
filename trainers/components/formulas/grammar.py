"""The grammar of formulas: a text in, steps for a stack machine out. Nothing of a text is executed.

In EBNF: formula = sum, [("<" | ">" | "<=" | ">="), sum]; sum = product, {("+" | "-"), product}; product =
signed, {("*" | "/"), signed}; signed = "-", signed | value; value = number | name | name, "(", formula, {",",
formula}, ")" | "(", formula, ")".
"""

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

LENGTH = 300  # characters of a formula
DEPTH = 12  # brackets and minus signs inside each other
STEPS = 120  # numbers, signals and operations
LARGEST = 1e6  # number that may be written
COMPARISONS = ("<", ">", "<=", ">=")

_TOKEN = re.compile(
    r" *(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z]\w*)|(<=|>=|[-+*/(),<>]))", re.ASCII
)
Kind = Literal["number", "name", "sign", "end"]


class FormulaError(ValueError):
    """A formula that cannot be used; the sentence names the column, counted from 1."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """A word of a formula, and the column at which it begins."""

    kind: Kind
    text: str
    column: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a stack machine: pushes a number or a signal, or replaces `arity` values by one.

    name: of the signal or the operation. number: the value of a number, else None.
    """

    name: str
    column: int
    arity: int = 0
    number: float | None = None


def tokens(text: str) -> list[Token]:
    """The words of a formula, an end after them. Raises FormulaError for a character that has no meaning."""
    if len(text) > LENGTH:
        raise FormulaError(f"a formula has at most {LENGTH} characters, got {len(text)}")
    found: list[Token] = []
    place = 0
    end = len(text.rstrip(" "))
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            wrong = place + len(text[place:]) - len(text[place:].lstrip(" "))
            at_fault(wrong + 1, f"{text[wrong]!a} has no meaning in a formula")
        kind: Kind = "number" if match[1] else "name" if match[2] else "sign"
        word = match[match.lastindex or 0]
        found.append(Token(kind=kind, text=word, column=match.end() - len(word) + 1))
        place = match.end()
    return [*found, Token(kind="end", text="", column=end + 1)]


def compact(text: str) -> str:
    """The formula without spaces, which two formulas that differ only in spaces share."""
    return "".join(token.text for token in tokens(text))


def parse(text: str, names: Collection[str], functions: Mapping[str, int]) -> tuple[Step, ...]:
    """The steps of a formula, operands before their operation.

    names: signals and parameters. functions: how many values each takes. Raises FormulaError.
    """
    parser = _Parser(tokens(text), names, functions)
    parser.formula()
    parser.end()
    return tuple(parser.steps)


def at_fault(column: int, text: str) -> NoReturn:
    """Raise FormulaError for a column."""
    raise FormulaError(f"column {column}: {text}")


class _Parser:
    def __init__(self, words: list[Token], names: Collection[str], functions: Mapping[str, int]) -> None:
        self.steps: list[Step] = []
        self._words, self._names, self._functions = words, names, functions
        self._place = self._depth = 0

    def formula(self) -> None:
        """A sum, or a comparison of two."""
        self._sum()
        if sign := self._taken(*COMPARISONS):
            self._sum()
            self._add(sign, sign.text, 2)
            if (again := self._next).text in COMPARISONS:
                at_fault(again.column, "comparisons don't chain: multiply two of them, (x < y) * (y < z)")

    def end(self) -> None:
        """Nothing may follow."""
        if self._next.kind != "end":
            at_fault(self._next.column, f"expected an operator or the end, got {self._next.text[:20]}")

    def _sum(self) -> None:
        self._product()
        while sign := self._taken("+", "-"):
            self._product()
            self._add(sign, sign.text, 2)

    def _product(self) -> None:
        self._signed()
        while sign := self._taken("*", "/"):
            self._signed()
            self._add(sign, sign.text, 2)

    def _signed(self) -> None:
        if sign := self._taken("-"):
            self._enter(sign)
            self._signed()
            self._depth -= 1
            self._add(sign, "minus", 1)
        else:
            self._value()

    def _value(self) -> None:
        token = self._next
        self._place += 1
        if token.kind == "number":
            self._number(token)
        elif token.kind == "name":
            self._name(token)
        elif token.text == "(":
            self._enter(token)
            self.formula()
            self._close(token)
        else:
            at_fault(token.column, f"a value is missing before {token.text[:20] or 'the end'}")

    def _number(self, token: Token) -> None:
        number = float(token.text)
        if number > LARGEST:
            at_fault(token.column, f"a number is at most {LARGEST:g}, got {number:g}")
        self._add(token, token.text, 0, number)

    def _name(self, token: Token) -> None:
        name = token.text
        opened = self._taken("(")
        if opened is None:
            if name in self._functions:
                at_fault(token.column, f"{name} needs brackets and {_values(self._functions[name])}")
            self._known(token, self._names)
            self._add(token, name, 0)
            return
        self._known(token, self._functions)
        self._enter(opened)
        count = 1
        self.formula()
        while self._taken(","):
            count += 1
            self.formula()
        self._close(opened)
        if count != self._functions[name]:
            at_fault(token.column, f"{name} takes {_values(self._functions[name])}, got {count}")
        self._add(token, name, count)

    def _known(self, token: Token, names: Collection[str]) -> None:
        if token.text not in names:
            close = difflib.get_close_matches(token.text[:20], names, n=1, cutoff=0.7)
            hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"
            what = "function" if names is self._functions else "signal"
            at_fault(token.column, f"there is no {what} {token.text[:20]} here{hint}")

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            at_fault(token.column, f"brackets and minus signs go at most {DEPTH} deep")

    def _close(self, opened: Token) -> None:
        if not self._taken(")"):
            at_fault(self._next.column, f"the bracket of column {opened.column} is not closed before this")
        self._depth -= 1

    def _add(self, token: Token, name: str, arity: int, number: float | None = None) -> None:
        if len(self.steps) == STEPS:
            at_fault(token.column, f"a formula has at most {STEPS} numbers, signals and operations")
        self.steps.append(Step(name=name, column=token.column, arity=arity, number=number))

    @property
    def _next(self) -> Token:
        return self._words[self._place]

    def _taken(self, *texts: str) -> Token | None:
        """The next word if it is one of these, which it is then past."""
        token = self._next
        if token.text not in texts:
            return None
        self._place += 1
        return token


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
