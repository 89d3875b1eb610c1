"""Messages in the form that a model was trained to read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from trainers.data.conversations import plain
from trainers.data.examples import Chat, Examples, Turns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def as_chats(examples: Examples, tokenizer: PreTrainedTokenizerBase) -> Examples:
    """The examples with their messages written by the tokenizer's chat template.

    Examples that are no messages, and those of a tokenizer without a template, stay as they are. Raises
    ValueError, on one line, if the template refuses messages.
    """
    if examples.chats is None or tokenizer.chat_template is None:
        return examples
    written = [_written(chat, tokenizer, number) for number, chat in enumerate(examples.chats, start=1)]
    return replace(
        examples,
        texts=tuple(prompt for prompt, _, _ in written),
        pairs=examples.pairs and tuple((first, second) for _, first, second in written),
        chats=None,
    )


def _written(chat: Chat, tokenizer: PreTrainedTokenizerBase, number: int) -> tuple[str, str, str]:
    """The prompt, and what the template adds to it for each response."""
    prompt = _by_template(chat.shared, tokenizer, number)
    first, second = (
        _added(prompt, _by_template(chat.shared + turns, tokenizer, number), turns)
        for turns in (chat.first, chat.second)
    )
    return prompt, first, second


def _added(prompt: str, whole: str, turns: Turns) -> str:
    # Some templates write earlier turns differently once later ones follow.
    return whole.removeprefix(prompt) if whole.startswith(prompt) else plain(turns, "assistant")


def _by_template(turns: Turns, tokenizer: PreTrainedTokenizerBase, number: int) -> str:
    if not turns:
        return ""
    messages = [{"role": role, "content": content} for role, content in turns]
    try:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False))
    except (TemplateError, ValueError, TypeError) as error:
        roles = ", ".join(role for role, _ in turns)
        raise ValueError(
            f"the chat template of this model refuses example {number} with the turns {roles} "
            f"({' '.join(str(error).split())[:200]}): use texts instead of messages, or another model"
        ) from None
    # The tokenizer sets its own token at the beginning.
    return text.removeprefix(tokenizer.bos_token or "") if _adds_beginning(tokenizer) else text


def _adds_beginning(tokenizer: PreTrainedTokenizerBase) -> bool:
    return tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
