"""Prompts and responses as people store them: lists of messages, or whole transcripts that begin alike."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainers.data.examples import Chat, Turns
from trainers.data.values import check_text, refused

# The two usual forms of a message, and the roles that the second names otherwise.
FORMS = (("role", "content"), ("from", "value"))
ROLES = {"human": "user", "gpt": "assistant"}
MESSAGES = 'a list of messages, such as [{"role": "user", "content": "Hello"}]'
FULL_STOPS = frozenset("。！？，、；：")  # words of these languages are not separated by spaces


def holds_messages(values: Sequence[Any]) -> bool:
    """Whether a field holds lists of messages: its first value that is there is one."""
    return isinstance(next((value for value in values if value is not None), None), list)


def read_turns(values: Sequence[Any], path: str, name: str) -> list[Turns]:
    """The messages of every row, with the roles system, user, assistant or others as they are."""
    return [_turns(value, path, row, name) for row, value in enumerate(values, start=1)]


def _turns(value: object, path: str, row: int, name: str) -> Turns:
    if not isinstance(value, list) or not value:
        raise refused(path, row, name, MESSAGES, value, "write every row so, or drop the row")
    return tuple(_turn(message, path, row, name) for message in value)


def _turn(message: object, path: str, row: int, name: str) -> tuple[str, str]:
    for role_key, content_key in FORMS:
        if isinstance(message, Mapping) and isinstance(role := message.get(role_key), str):
            content = _content(message.get(content_key))
            if content is None or message.get("tool_calls"):
                raise refused(path, row, name, "messages of text alone", message, "drop the row")
            check_text(content, path, row, name)
            return ROLES.get(role, role), content
    raise refused(path, row, name, MESSAGES, message, "name the role and the content of every message")


def _content(content: object) -> str | None:
    """A text, or the texts of a list of parts; None if something else is among them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, Mapping) for part in content):
        return None
    texts = [part.get("text") for part in content]
    return "\n".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else None


def chats_of_pairs(prompts: Sequence[Turns], first: Sequence[Turns], second: Sequence[Turns]) -> list[Chat]:
    """The shared turns of every pair are its prompt, after those of its prompt field that they lack."""
    return [_chat(*row) for row in zip(prompts, first, second, strict=True)]


def _chat(prompt: Turns, first: Turns, second: Turns) -> Chat:
    shared = first[: _alike(first, second)]
    said = {content.strip() for _, content in shared}
    lead = sum(1 for role, _ in shared if role == "system")
    missing = tuple(turn for turn in prompt if turn[1].strip() and turn[1].strip() not in said)
    return Chat(
        shared=shared[:lead] + missing + shared[lead:],
        first=first[len(shared) :],
        second=second[len(shared) :],
    )


def plain(turns: Turns, alone: str) -> str:
    """Turns as text for models without a chat template. A single turn of the role `alone` is its content."""
    if [role for role, _ in turns] == [alone]:
        return turns[0][1]
    return "\n\n".join(f"{role}: {content}" for role, content in turns)


def shared_beginning(prompt: str, first: str, second: str) -> tuple[str, str, str]:
    """Prompt and responses, where both responses repeat the prompt, or there is none: it is what they share.

    The common beginning ends where a word ends in both. White space after it goes with the responses, as
    tokenizers join it to the next word.
    """
    if prompt.strip() and not (first.startswith(prompt) and second.startswith(prompt)):
        return prompt, first, second
    end = _last_word_end(first, second, _alike(first, second))
    if end < len(prompt.rstrip()):
        return prompt, first, second
    return first[:end], first[end:], second[end:]


def _alike(first: Sequence[object], second: Sequence[object]) -> int:
    """The length of the common beginning."""
    differ = (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(differ, min(len(first), len(second)))


def _last_word_end(first: str, second: str, end: int) -> int:
    while end and not all(_word_ends(text, end) for text in (first, second)):
        end -= 1
    return len(first[:end].rstrip())


def _word_ends(text: str, end: int) -> bool:
    return end == len(text) or text[end].isspace() or text[end - 1] in FULL_STOPS
