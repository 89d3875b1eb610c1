from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from trainers.data.examples import Chat, Examples
from trainers.models.chats import as_chats

CHATML = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no\nsystem') }}{% endif %}"
LAST_ALONE = (
    "{% for m in messages %}{{ m['role'] }}{{ ':' if loop.last else '…' }}{{ m['content'] }} {% endfor %}"
)

PAIR = Examples(
    texts=("q",),
    pairs=(("good", "bad"),),
    chats=(Chat(shared=(("user", "q"),), first=(("assistant", "good"),), second=(("assistant", "bad"),)),),
)


@pytest.fixture
def stories(shared: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(shared / "models/stories260K")
    return tokenizer


def test_a_template_writes_the_shared_turns_and_each_response_once(stories: PreTrainedTokenizerBase) -> None:
    stories.chat_template = CHATML
    written = as_chats(PAIR, stories)
    # The tokenizer adds the token at the beginning itself.
    assert written.texts == ("<|user|>q<|end|>",)
    assert written.pairs == (("<|assistant|>good<|end|>", "<|assistant|>bad<|end|>"),)
    assert as_chats(PAIR.exchanged(), stories) == written.exchanged()
    single = Examples(texts=("q",), chats=(Chat(shared=(("system", "be kind"), ("user", "q"))),))
    assert as_chats(single, stories).texts == ("<|system|>be kind<|end|><|user|>q<|end|>",)


def test_without_a_template_or_messages_nothing_changes(stories: PreTrainedTokenizerBase) -> None:
    assert as_chats(PAIR, stories) is PAIR
    stories.chat_template = CHATML
    plain = Examples(texts=("q",))
    assert as_chats(plain, stories) is plain


def test_a_template_that_writes_earlier_turns_otherwise_leaves_responses_plain(
    stories: PreTrainedTokenizerBase,
) -> None:
    stories.chat_template = LAST_ALONE
    written = as_chats(PAIR, stories)
    assert (written.texts, written.pairs) == (("user:q ",), (("good", "bad"),))


def test_a_template_that_refuses_is_named_with_its_example(stories: PreTrainedTokenizerBase) -> None:
    stories.chat_template = NO_SYSTEM
    single = Examples(texts=("q",), chats=(Chat(shared=(("system", "be kind"), ("user", "q"))),))
    with pytest.raises(
        ValueError, match=r"refuses example 1 with the turns system, user \(no system\): use"
    ) as e:
        as_chats(single, stories)
    assert "\n" not in str(e.value)
