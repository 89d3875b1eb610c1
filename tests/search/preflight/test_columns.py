"""Fields and labels, found by looking, asked where unclear, never guessed."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from search.preflight.columns import (
    find_classes,
    find_fields,
    is_label,
    is_text,
    nobody,
    person,
    spelled_alike,
)

TEXTS = [f"text number {i}" for i in range(40)]
CLASSES = ["0", "1"] * 20


class Told:
    """Answers questions in turn, and remembers them."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, list[str], str]] = []

    def __call__(self, what: str, candidates: Sequence[str], option: str) -> str:
        self.asked.append((what, list(candidates), option))
        return self.answers.pop(0)


def fields_of(columns: dict[str, list[Any]], **given: str) -> dict[str, str | None]:
    return dict(find_fields("a.csv", columns, given, nobody).fields)


def test_the_only_text_and_the_only_label_need_no_name() -> None:
    found = find_fields("a.csv", {"what": TEXTS, "liked": CLASSES}, {}, nobody)
    assert found.fields == {"text": "what", "label": "liked"}
    assert found.labels is None
    assert found.why["text"] == "the only field with distinct texts"


def test_numbers_are_no_texts_where_there_are_others() -> None:
    ids = [str(i) for i in range(40)]
    assert fields_of({"id": ids, "what": TEXTS, "liked": CLASSES})["text"] == "what"
    assert fields_of({"number": ids, "liked": CLASSES})["text"] == "number"


@pytest.mark.parametrize(
    "code", ["P-{:05d}", "2025-03-{:02d} 00:00:00", "a@b{}.org", "+{}", "https://a.org/{}"]
)
def test_ids_and_dates_are_no_texts_where_there_are_sentences(code: str) -> None:
    codes = [code.format(i) for i in range(40)]
    assert fields_of({"Row": ["", *codes], "said": ["", *TEXTS], "Agrees?": ["", *CLASSES]})["text"] == "said"


def test_words_without_spaces_may_be_sentences() -> None:
    other = [f"天气很好{i}" for i in range(40)]
    with pytest.raises(ValueError, match="holds the text"):
        fields_of({"a": TEXTS, "b": other, "c": CLASSES})


def test_a_usual_name_decides_between_two() -> None:
    columns = {"title": TEXTS, "review": TEXTS, "stars": ["1", "2"] * 20, "label": CLASSES}
    found = find_fields("a.csv", columns, {}, nobody)
    assert found.fields == {"text": "review", "label": "label"}
    assert found.why["text"] == "the only field called so that is one with distinct texts"


def test_two_that_may_be_meant_are_asked_for() -> None:
    columns = {"title": TEXTS, "story": TEXTS, "old": CLASSES, "new": CLASSES}
    told = Told("new", "story")
    assert find_fields("a.csv", columns, {}, told).fields == {"text": "story", "label": "new"}
    assert told.asked == [
        ("Which field of a.csv holds the label?", ["old", "new"], "--label"),
        ("Which field of a.csv holds the text?", ["title", "story"], "--text"),
    ]
    with pytest.raises(
        ValueError, match=r"^Which field of a.csv holds the label\? old, new: say it with --label$"
    ):
        fields_of(columns)
    assert fields_of(columns, label="old", text="title") == {"text": "title", "label": "old"}


def test_pairs_are_known_by_their_names() -> None:
    columns = {"prompt": TEXTS, "chosen": TEXTS, "rejected": TEXTS, "id": CLASSES}
    assert fields_of(columns) == {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}
    del columns["prompt"]
    assert fields_of(columns)["prompt"] is None
    named = {"a": TEXTS, "b": TEXTS}
    assert fields_of(named, chosen="b", rejected="a") == {"prompt": None, "chosen": "b", "rejected": "a"}


def test_messages_are_texts_of_pairs() -> None:
    talk = [[{"role": "user", "content": text}] for text in TEXTS]
    found = fields_of({"question": TEXTS, "chosen": talk, "rejected": talk})
    assert found == {"prompt": "question", "chosen": "chosen", "rejected": "rejected"}


@pytest.mark.parametrize(
    ("columns", "given", "line"),
    [
        ({"a": TEXTS}, {}, "a.csv: no field looks like the label; it has a: name it with --label"),
        ({"a": CLASSES}, {}, "a.csv: no field looks like the text; it has a: name it with --text"),
        ({"a": TEXTS}, {"text": "b"}, "a.csv has no field 'b', named by --text; it has a"),
        ({"a": TEXTS}, {"chosen": "a"}, "--chosen and --rejected come together"),
    ],
)
def test_what_is_not_there(columns: dict[str, list[Any]], given: dict[str, str], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        find_fields("a.csv", columns, given, nobody)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["0", "1"], None),
        ([True, False], None),
        ([1.0, 0], None),
        (["Positive", "Negative"], {"Negative": 0, "Positive": 1}),
        (["no", "yes"], {"no": 0, "yes": 1}),
        (["no", "Yes", "yes"], {"no": 0, "yes": 1, "Yes": 1}),
    ],
)
def test_classes_that_need_no_question(values: list[Any], classes: dict[str, int] | None) -> None:
    assert find_classes("a.csv", "label", values * 9, None, nobody) == classes


def test_classes_that_need_one() -> None:
    cats = ["cat", "dog"] * 9
    told = Told("dog")
    assert find_classes("a.csv", "label", cats, None, told) == {"cat": 0, "dog": 1}
    assert told.asked == [("Which label of label is class 1?", ["cat", "dog"], "--positive")]
    with pytest.raises(ValueError, match=r"^Which label of label is class 1\? 1, 2, 3: say it with --posit"):
        find_classes("a.csv", "label", [1, 2, 3], None, nobody)
    assert find_classes("a.csv", "label", [1, 2, 3], "3", nobody) == {"1": 0, "2": 0, "3": 1}
    with pytest.raises(ValueError, match=r"^a.csv: no label of label is 'cow'; there are cat, dog$"):
        find_classes("a.csv", "label", cats, "cow", nobody)


@pytest.mark.parametrize(
    ("columns", "given", "line"),
    [
        (
            {"text;label": ["a;1", "b;0"]},
            {},
            r"^a.csv has one field, text;label: its values are separated by ';'",
        ),
        ({"a|b": ["c|d"]}, {"text": "a|b"}, r"separated by '\|'"),
        ({"text number 99": TEXTS, "1": [0, 1] * 20}, {}, "first row, text number 99, 1, looks like an exam"),
    ],
)
def test_files_of_another_form_are_told(
    columns: dict[str, list[Any]], given: dict[str, str], line: str
) -> None:
    with pytest.raises(ValueError, match=line):
        find_fields("a.csv", columns, given, nobody)


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        ({"text": TEXTS, "label": [1] * 40}, {}),
        ({"text": TEXTS, "label": ["1", ""] * 20, "source": CLASSES}, {}),  # not source, by its few values
        ({"text": TEXTS, "label": [1] * 40}, {"label": "label"}),
        ({"text": TEXTS, "label": [1] * 40}, {"label": "label", "positive": "0"}),
    ],
)
def test_one_label_is_no_task(columns: dict[str, list[Any]], given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^a.csv: every value of label is '1', and a label needs two cl"):
        find_fields("a.csv", columns, given, nobody)


def test_the_only_field_of_one_value_may_be_meant_as_the_label() -> None:
    same = {"text": TEXTS, "liked": ["yes"] * 40}
    with pytest.raises(ValueError, match=r"^a.csv: every value of liked is 'yes', "):
        fields_of(same)
    with pytest.raises(ValueError, match="no field looks like the label"):
        fields_of(same | {"source": ["web"] * 40})
    assert fields_of(same | {"rating": [1, 2] * 20}, positive="2")["label"] == "rating"


def test_another_field_than_that_of_one_label_can_be_named() -> None:
    columns = {"text": TEXTS, "label": [1] * 40, "source": [0, 1] * 20}
    assert fields_of(columns, label="source") == {"text": "text", "label": "source"}
    assert fields_of(columns | {"class": CLASSES}, positive=CLASSES[0])["label"] == "class"


def test_a_field_that_is_called_like_a_label_can_be_named() -> None:
    columns = {"text": TEXTS, "1": [0, 1] * 20}
    assert find_fields("a.csv", columns, {"label": "1"}, nobody).fields == {"text": "text", "label": "1"}


def test_labels_that_differ_in_case_alone_are_one() -> None:
    cats = ["Cat", "dog", "cat", "bird"] * 9
    assert find_classes("a.csv", "label", cats, "cat", nobody) == {"Cat": 1, "bird": 0, "cat": 1, "dog": 0}
    assert spelled_alike(["Cat", "bird", "cat"]) == ["Cat", "cat"]
    assert find_classes("a.csv", "label", ["a", "A"] * 9, "A", nobody) == {"A": 1, "a": 0}


def test_what_texts_and_labels_look_like() -> None:
    assert is_text(TEXTS)
    assert not is_text(CLASSES)
    assert not is_text([1, 2, 3])
    assert is_label(CLASSES)
    assert is_label([1, 1, 2, 2])
    assert not is_label(TEXTS)
    assert is_label([None, "", "1", "1", "0", "0"])
    assert not is_label([None, None, None, "1", "1"])
    assert not is_label([["1"], "1", "1", "0"])
    assert not is_text(["", " "])
    assert not is_label(["one"] * 9)


def test_a_person_chooses_by_number_or_name() -> None:
    def answers(*said: str) -> Callable[[str], str]:
        left = list(said)
        return lambda question: left.pop(0)

    assert person(answers("7", "", "2"))("Which?", ["a", "b"], "--a") == "b"
    assert person(answers("a"))("Which?", ["a", "b"], "--a") == "a"
