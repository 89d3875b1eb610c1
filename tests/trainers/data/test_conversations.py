from typing import Any

import pytest

from trainers.data.conversations import chats_of_pairs, plain, read_turns, shared_beginning
from trainers.data.examples import Chat, Turns

USER, ANSWER = ("user", "q"), ("assistant", "a")


@pytest.mark.parametrize(
    ("message", "turn"),
    [
        ({"role": "user", "content": "q"}, ("user", "q")),
        ({"from": "human", "value": "q"}, ("user", "q")),
        ({"from": "gpt", "value": "2020-01-01"}, ("assistant", "2020-01-01")),
        ({"role": "tool", "content": ""}, ("tool", "")),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            ("user", "a\nb"),
        ),
    ],
)
def test_messages_as_people_store_them(message: dict[str, Any], turn: tuple[str, str]) -> None:
    assert read_turns([[message]], "a.jsonl", "chosen") == [(turn,)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "text",
            "row 2: field 'chosen' must be a list of messages, such as .*, got 'text': write every row so",
        ),
        (None, "must be a list of messages, such as .*, got nothing"),
        ([], r"must be a list of messages, .*, got \[\]"),
        ([{"content": "q"}], "name the role and the content of every message"),
        ([{"role": "user", "content": None}], "must be messages of text alone, .*: drop the row"),
        ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "must be messages of text alone"),
        ([{"role": "assistant", "content": "", "tool_calls": [{}]}], "must be messages of text alone"),
        ([{"role": "user", "content": "\ud83d"}], "must be whole characters"),
    ],
)
def test_what_is_no_message_is_refused_by_its_row(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_turns([[{"role": "user", "content": "q"}], value], "a.jsonl", "chosen")


SYSTEM = ("system", "be kind")


@pytest.mark.parametrize(
    ("prompt", "first", "second", "shared", "left"),
    [
        ((USER,), (USER, ANSWER), (USER, ("assistant", "b")), (USER,), 1),
        ((), (USER, ANSWER, USER, ANSWER), (USER, ANSWER, USER), (USER, ANSWER, USER), 1),
        # a prompt that the messages lack stands before them, after a system message
        ((("user", "p"),), (ANSWER,), (("assistant", "b"),), (("user", "p"),), 1),
        ((USER,), (SYSTEM, ANSWER), (SYSTEM, ("assistant", "b")), (SYSTEM, USER), 1),
        ((("user", " q "),), (USER, ANSWER), (USER, USER), (USER,), 1),
        ((("user", ""),), (ANSWER,), (USER,), (), 1),
    ],
)
def test_shared_turns_are_the_prompt(
    prompt: Turns, first: Turns, second: Turns, shared: Turns, left: int
) -> None:
    (chat,) = chats_of_pairs([prompt], [first], [second])
    assert chat.shared == shared
    assert len(chat.first) == left
    assert chat.exchanged() == Chat(shared=shared, first=chat.second, second=chat.first)


def test_a_single_turn_is_its_content() -> None:
    assert plain((USER,), "user") == "q"
    assert plain((USER, ANSWER), "user") == "user: q\n\nassistant: a"
    assert plain((USER,), "assistant") == "user: q"
    assert plain((), "user") == ""


@pytest.mark.parametrize(
    ("prompt", "first", "second", "split"),
    [
        (
            "",
            "Human: hi\n\nAssistant: good",
            "Human: hi\n\nAssistant: bad",
            ("Human: hi\n\nAssistant:", " good", " bad"),
        ),
        # never within a word or a number, nor between white space
        ("", "I understand", "I underline", ("I", " understand", " underline")),
        ("", "it is 3.14", "it is 3.15", ("it is", " 3.14", " 3.15")),
        ("", "a \n b", "a \n c", ("a", " \n b", " \n c")),
        ("", "understand", "underline", ("", "understand", "underline")),
        ("", "don't", "don't you", ("don't", "", " you")),
        ("", "你好。是", "你好。不", ("你好。", "是", "不")),
        ("", "", "x", ("", "", "x")),
        # the prompt is repeated in both
        ("q?", "q? yes it is", "q? yes it was", ("q? yes it", " is", " was")),
        ("Say: ", "Say: one", "Say: two", ("Say:", " one", " two")),
        # a prompt of its own, and responses that begin alike by chance
        ("q?", "I think so", "I think not", ("q?", "I think so", "I think not")),
        ("q", "quick", "quiet", ("q", "quick", "quiet")),
    ],
)
def test_a_common_beginning_is_the_prompt(
    prompt: str, first: str, second: str, split: tuple[str, str, str]
) -> None:
    assert shared_beginning(prompt, first, second) == split
