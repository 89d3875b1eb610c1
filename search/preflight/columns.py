"""What the fields of a data file may be: texts, labels or pairs, found by looking. Pure.

A field is taken without asking only where nothing else can be meant: it is the only candidate, or the only
one of them with a usual name. Everything else is a question.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trainers.data.conversations import holds_messages
from trainers.data.files import Column, shown_names
from trainers.data.settings import label_key
from trainers.data.values import BINARY, NEGATIVE, POSITIVE, is_blank

MOST_LABELS = 20  # distinct values of a field of labels
CODE = re.compile(r"\s*[!-~]+\s*|[^A-Za-z]+", re.ASCII)  # one word, or no letter: an id, a number, a date
DISTINCT = 0.5  # share of distinct values of a field of texts, at least
TEXTS = {"text", "sentence", "review", "content", "comment", "body", "message", "passage", "input"}
LABELS = {"label", "labels", "target", "class", "y", "sentiment", "is_correct", "answer"}
PROMPTS = {"prompt", "question", "instruction", "query", "input", "context"}
PAIRS = (("chosen", "rejected"), ("preferred", "dispreferred"), ("better", "worse"), ("winner", "loser"))


class Ask(Protocol):
    """Asks a person to choose among candidates; raises ValueError where there is nobody to ask."""

    def __call__(self, what: str, candidates: Sequence[str], option: str) -> str:
        """The candidate that is chosen. what: the question. option: that of the command, which answers it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Found:
    """The fields of a task. labels: the class of every label, None where they are 0 and 1 already.

    why: how each was found, a sentence by the name of the setting.
    """

    fields: Mapping[str, str | None]
    labels: Mapping[str, int | None] | None = None
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_pairs(self) -> bool:
        """Whether examples are preference pairs."""
        return "chosen" in self.fields


Given = Mapping[str, str | None]


def find_fields(path: str, columns: Mapping[str, Column], given: Given, ask: Ask) -> Found:
    """The fields of a file.

    given: those that the user named, by text, label, prompt, chosen and rejected; and `positive`, the label
    of class 1. Raises ValueError, on one line with the candidates, if a field is not there or none is found.
    """
    for option, name in given.items():
        if option != "positive" and name and name not in columns:
            raise ValueError(f"{path} has no field {name!r}, named by --{option}; it has {_shown(columns)}")
    if len(columns) == 1 and (mark := next((each for each in ";|\t" if each in next(iter(columns))), None)):
        raise ValueError(
            f"{path} has one field, {_shown(columns)}: its values are separated by {mark!r}; save it with "
            "commas, or with tabs as .tsv"
        )
    pair = _pair(columns, given)
    if pair is not None and not (given.get("text") or given.get("label")):
        return _pairs(path, columns, pair, given, ask)
    return _singles(path, columns, given, ask)


def _pair(columns: Mapping[str, Column], given: Given) -> tuple[str, str] | None:
    """The fields of the better and the worse response; None for single texts."""
    chosen, rejected = given.get("chosen"), given.get("rejected")
    if chosen and rejected:
        return chosen, rejected
    if chosen or rejected:
        raise ValueError("--chosen and --rejected come together: name both fields of a pair")
    by_lower = {name.lower(): name for name in columns}
    found = [
        (by_lower[better], by_lower[worse])
        for better, worse in PAIRS
        if better in by_lower and worse in by_lower
    ]
    return found[0] if len(found) == 1 else None


def _pairs(path: str, columns: Mapping[str, Column], pair: tuple[str, str], given: Given, ask: Ask) -> Found:
    chosen, rejected = pair
    others = [
        name
        for name, values in columns.items()
        if name not in pair and (holds_messages(values) or is_text(values, distinct=0.0))
    ]
    prompt, why = given.get("prompt"), "named"
    if not prompt:
        prompt, why = _one(others, PROMPTS, None, "holds texts")
        usual = [name for name in others if name.lower() in PROMPTS]
        if prompt is None and len(usual) > 1:
            prompt = ask(f"Which field of {path} holds the prompt?", usual, "--prompt")
    return Found(
        fields={"prompt": prompt, "chosen": chosen, "rejected": rejected},
        why={
            "prompt": why if prompt else "no field is called so: what both responses begin with is the prompt"
        },
    )


def _singles(path: str, columns: Mapping[str, Column], given: Given, ask: Ask) -> Found:
    label_fields = [name for name, values in columns.items() if is_label(values)]
    label, label_why = given.get("label"), "named"
    text, text_why = given.get("text"), "named"
    texts = [name for name, values in columns.items() if holds_messages(values) or is_text(values)]
    texts = [name for name in texts if not _are_codes(columns[name])] or texts
    if not label:
        left = [name for name in label_fields if name != text]
        _refuse_one_label(path, columns, left)
        label, label_why = _one(left, LABELS, "the only field", "with few distinct values")
        label = label or _asked(path, "the label", left, columns, ask, "--label")
    if not text:
        left = [name for name in texts if name != label]
        text, text_why = _one(left, TEXTS, "the only field", "with distinct texts")
        text = text or _asked(path, "the text", left, columns, ask, "--text")
    if not given.get("label") and label_key(label) in map(label_key, columns[label]):
        raise ValueError(
            f"{path}: its first row, {shown_names([text, label])}, looks like an example, and must name the "
            "fields: add a first row such as text,label, or name this field with --label"
        )
    labels = find_classes(path, label, columns[label], given.get("positive"), ask)
    return Found(
        fields={"text": text, "label": label}, labels=labels, why={"text": text_why, "label": label_why}
    )


def _refuse_one_label(path: str, columns: Mapping[str, Column], candidates: Sequence[str]) -> None:
    """Raises ValueError if the fields that may be meant as the label hold one value.

    candidates: the fields that look like labels. Without any, a field of one value may be meant.
    """
    named = [name for name in columns if name.lower() in LABELS]
    keys = {
        name: {key for value in columns[name] if (key := label_key(value))}
        for name in named or (() if candidates else columns)
    }
    alike = {name: of_field for name, of_field in keys.items() if len(of_field) == 1}
    if alike and (len(alike) == len(named) or (not named and len(alike) == 1)):
        name, (key,) = next(iter(alike.items()))
        raise _one_label(path, name, key)


def _one_label(path: str, name: str, key: str) -> ValueError:
    return ValueError(
        f"{path}: every value of {name} is {key!r}, and a label needs two classes: add rows of the other "
        "class, or name another field with --label"
    )


def _asked(
    path: str, what: str, candidates: Sequence[str], columns: Mapping[str, Column], ask: Ask, option: str
) -> str:
    if not candidates:
        raise ValueError(
            f"{path}: no field looks like {what}; it has {_shown(columns)}: name it with {option}, or the "
            "fields of pairs with --chosen and --rejected"
        )
    return ask(f"Which field of {path} holds {what}?", candidates, option)


def _one(candidates: Sequence[str], usual: set[str], only: str | None, looks: str) -> tuple[str | None, str]:
    """The only candidate, or the only one of them with a usual name; and why.

    only: how to call the only candidate; None: that alone does not do.
    """
    named = [name for name in candidates if name.lower() in usual]
    if len(candidates) == 1 and (only or named):
        return candidates[0], f"{only or 'it'} {looks}"
    if len(named) == 1:
        return named[0], f"the only field called so that {'is one ' if only else ''}{looks}"
    return None, ""


def is_text(values: Column, *, distinct: float = DISTINCT) -> bool:
    """Whether a field holds texts: strings that are not numbers or labels, most of them distinct."""
    there = [value for value in values if not is_blank(value)]
    if not there or not all(isinstance(value, str) for value in there):
        return False
    return len(set(there)) >= max(2, distinct * len(there)) and sum(map(len, there)) > 0


def _are_codes(values: Column) -> bool:
    """Whether a field of strings holds ids, numbers or dates, and no sentence."""
    return all(
        is_blank(value) or (isinstance(value, str) and value.isascii() and CODE.fullmatch(value))
        for value in values
    )


def is_label(values: Column) -> bool:
    """Whether a field holds labels: few distinct values, each several times. Some rows may be empty."""
    there = [value for value in values if not is_blank(value)]
    keys = Counter(label_key(value) for value in there)
    if None in keys or 2 * len(there) < len(values):
        return False
    return 2 <= len(keys) <= MOST_LABELS and 2 * len(keys) <= len(there)


def find_classes(
    path: str, name: str, values: Column, positive: str | None, ask: Ask
) -> dict[str, int | None] | None:
    """The class of every label; None where they are 0 and 1, or false and true, already.

    positive: the label of class 1. Two words of which one is usual for a class need no question. Labels that
    differ in case alone are one.
    """
    keys = sorted({key for value in values if (key := label_key(value))})
    if len(keys) == 1:
        raise _one_label(path, name, keys[0])
    if positive is None and set(keys) <= set(BINARY):
        return None
    word_of = _words(keys)
    words = sorted(set(word_of.values()))
    if positive is None and len(words) == 2:
        usual = [BINARY.get(word) if word in BINARY else _usual(word) for word in words]
        if sorted(one for one in usual if one is not None) == [0, 1]:
            class_of = dict(zip(words, usual, strict=True))
            return {key: class_of[word] for key, word in word_of.items()}
    if positive is None:
        positive = ask(f"Which label of {name} is class 1?", keys, "--positive")
    key = label_key(positive)
    if key not in keys:
        raise ValueError(f"{path}: no label of {name} is {positive!r}; there are {shown_names(keys)}")
    return {one: int(word == word_of[key]) for one, word in word_of.items()}


def _words(keys: Sequence[str]) -> dict[str, str]:
    """Each label in small letters, or as it is where no two would be left."""
    small = {key: key.casefold() for key in keys}
    return small if len(set(small.values())) > 1 else {key: key for key in keys}


def spelled_alike(labels: Collection[str]) -> list[str]:
    """The labels that differ from another one in case alone."""
    times = Counter(label.casefold() for label in labels)
    return [label for label in labels if times[label.casefold()] > 1]


def _usual(word: str) -> int | None:
    lower = word.lower()
    return 1 if lower in POSITIVE else 0 if lower in NEGATIVE else None


def _shown(columns: Mapping[str, Column]) -> str:
    return shown_names(list(columns))


def nobody(what: str, candidates: Sequence[str], option: str) -> str:
    """Asks nobody: raises ValueError with the candidates."""
    raise ValueError(f"{what} {shown_names(list(candidates))}: say it with {option}")


Answer = Callable[[str], str]


def person(answer: Answer) -> Ask:
    """Asks a person. answer: shows a question and returns what was typed.

    A number or a name chooses; anything else is asked again.
    """

    def ask(what: str, candidates: Sequence[str], option: str) -> str:
        listed = "\n".join(f"  {number}  {shown_names([name])}" for number, name in enumerate(candidates, 1))
        while True:
            said = answer(f"{what}\n{listed}\n> ").strip()
            if said in candidates:
                return said
            if said.isdigit() and 1 <= int(said) <= len(candidates):
                return candidates[int(said) - 1]

    return ask
