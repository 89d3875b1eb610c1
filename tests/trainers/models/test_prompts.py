import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from trainers.data.examples import Examples
from trainers.data.tokens import Template, Tokens, tokenize
from trainers.models.pool import load_tokenizer
from trainers.models.prompts import PAIR, SINGLE, ask, can_elicit, render, templates
from trainers.models.settings import HubModel, ToyModel

SINGLES = Examples(texts=("once upon a time", "there was a girl"))
PAIRS = Examples(texts=("which?",), pairs=(("a cat", "a dog"),))


@pytest.fixture
def stories(shared: Path) -> HubModel:
    return HubModel(path=str(shared / "models/stories260K"), max_length=256, readout="label_tokens")


def texts(tokens: Tokens, config: HubModel | ToyModel) -> list[str]:
    tokenizer = load_tokenizer(config)
    rows = np.split(tokens.ids, tokens.offsets[1:-1])
    return [str(tokenizer.decode(row, skip_special_tokens=True)) for row in rows]


def word(tokens: Tokens, config: HubModel | ToyModel, place: int) -> str:
    assert tokens.words is not None
    return str(load_tokenizer(config).convert_ids_to_tokens(tokens.words[place]))


def test_single_texts_end_on_a_question(stories: HubModel) -> None:
    tokens = render(stories, SINGLES)
    for text, shown in zip(SINGLES.texts, texts(tokens, stories), strict=True):
        assert shown.strip().startswith(text)
        assert shown.rstrip().endswith("True or False? The answer is")
    # A tokenizer of 512 pieces spells both words, and tells them apart by the first piece.
    assert (word(tokens, stories, 0), word(tokens, stories, 1)) == ("▁", "▁T")


def test_pairs_end_on_their_question(stories: HubModel) -> None:
    tokens = render(stories, PAIRS)
    (shown,) = texts(tokens, stories)
    assert shown.rstrip().endswith("The better response is Response")
    assert (word(tokens, stories, 0), word(tokens, stories, 1)) == ("▁", "▁B")


def test_a_head_needs_no_question(stories: HubModel) -> None:
    plain = stories.model_copy(update={"readout": "head"})
    tokens = render(plain, SINGLES)
    assert tokens.words is None
    assert tokens.ids.tolist() == tokenize(SINGLES, load_tokenizer(plain), 256).ids.tolist()


def test_a_toy_review_has_its_question_already() -> None:
    toy = ToyModel(size="weak", readout="label_tokens")
    tokens = render(toy, Examples(texts=("the food was good . verdict :",)))
    assert texts(tokens, toy) == ["the food was good . verdict :"]
    assert (word(tokens, toy, 0), word(tokens, toy, 1)) == ("negative", "positive")


def test_long_texts_lose_their_own_end_and_keep_the_question(stories: HubModel) -> None:
    tokenizer = load_tokenizer(stories)
    long = Examples(texts=("once upon a time " * 50,))
    for template in SINGLE:
        tokens = tokenize(long, tokenizer, 64, template)
        assert tokens.lengths.tolist() == [64]
        assert texts(tokens, stories)[0].rstrip().endswith(template.question.strip().splitlines()[-1])
    with pytest.raises(
        ValueError,
        match=r"must be at least \d+ to show a token of a text before the question 'True or .*', got 8",
    ):
        tokenize(long, tokenizer, 8, SINGLE[0])


def test_no_end_of_text_stands_between_the_question_and_its_answer(minilm: Path) -> None:
    bert = load_tokenizer(HubModel(path=str(minilm), max_length=64))
    tokens = tokenize(SINGLES, bert, 64, SINGLE[0])
    for row in np.split(tokens.ids, tokens.offsets[1:-1]):
        assert row[0] == bert.cls_token_id
        assert bert.sep_token_id not in row


def test_words_that_begin_alike_are_refused(stories: HubModel) -> None:
    template = Template(question="so it is", words=("true", "trustworthy"))
    with pytest.raises(ValueError, match="does not tell 'true' and 'trustworthy' apart by their first token"):
        tokenize(SINGLES, load_tokenizer(stories), 64, template)


def test_a_model_is_asked_in_several_ways(stories: HubModel) -> None:
    single, pair = ask(stories, SINGLES), ask(stories, PAIRS)
    assert len(single) == len(SINGLE) >= 2
    assert len(pair) == len(PAIR) >= 2
    assert all(question.swapped is None for question in single)
    shown = [texts(question.shown, stories)[0] for question in pair]
    assert len(set(shown)) == len(shown)
    for question in pair:
        assert question.swapped is not None
        assert question.swapped.words == question.shown.words
        first, second = texts(question.shown, stories)[0], texts(question.swapped, stories)[0]
        assert first.index("a cat") < first.index("a dog")
        assert second.index("a dog") < second.index("a cat")
    # The first way is that of the read-out.
    assert pair[0].shown.ids.tolist() == render(stories, PAIRS).ids.tolist()


def test_a_tasks_own_question_is_put_to_the_model(stories: HubModel) -> None:
    asked = ask(stories, replace(SINGLES, question="Is this a fairy tale?"))
    ends = [texts(one.shown, stories)[0].partition("time")[2] for one in asked]
    assert [end.strip() for end in ends] == [
        "Is this a fairy tale? Answer False or True.\nAnswer:",
        "Is this a fairy tale? Answer no or yes.\nAnswer:",
    ]
    assert [one.shown.words for one in asked] == [one.shown.words for one in ask(stories, SINGLES)]


def test_a_question_about_pairs_changes_what_is_asked_but_not_the_read_out(stories: HubModel) -> None:
    about = replace(PAIRS, question="Which is kinder?")
    first, second = ask(stories, about)
    assert texts(first.shown, stories)[0].endswith("Which is kinder? Answer A or B.\nAnswer:")
    assert texts(second.shown, stories)[0].endswith("Which is kinder? Answer first or second.\nAnswer:")
    assert np.array_equal(render(stories, about).ids, render(stories, PAIRS).ids)


def test_a_toy_reviews_own_question_stays() -> None:
    review = Examples(texts=("the food was good verdict :",))
    model = ToyModel(size="weak")
    assert texts(ask(model, replace(review, question="Why?"))[0].shown, model) == list(review.texts)


def test_only_language_models_can_be_asked(stories: HubModel, minilm: Path, tmp_path: Path) -> None:
    encoder = HubModel(path=str(minilm), max_length=64)
    assert can_elicit(stories)
    assert can_elicit(ToyModel(size="strong"))
    assert not can_elicit(encoder)
    assert ask(encoder, SINGLES) == ()
    shape = GPT2Config(vocab_size=8, n_positions=16, n_embd=8, n_layer=1, n_head=2, tie_word_embeddings=False)
    # Without its last layer, which is not tied to anything, a decoder cannot speak.
    for kind, speaks in ((GPT2Model, False), (GPT2LMHeadModel, True)):
        kind(shape).save_pretrained(tmp_path / kind.__name__)
        assert can_elicit(HubModel(path=str(tmp_path / kind.__name__), max_length=16)) is speaks


def test_every_model_has_templates_for_both_kinds_of_examples(stories: HubModel) -> None:
    for config in (stories, ToyModel(size="weak")):
        for examples in (SINGLES, PAIRS):
            assert len(set(templates(config, examples))) >= 2


def test_a_length_too_short_for_the_question_of_a_prior_names_the_model(stories: HubModel) -> None:
    short = stories.model_copy(update={"max_length": 16, "readout": "head"})
    assert len(render(short, SINGLES)) == len(SINGLES)
    with pytest.raises(
        ValueError, match=r"^model '.*stories260K': max_length must be at least \d+ .*, got 16$"
    ):
        ask(short, SINGLES)


def test_a_token_without_a_row_in_the_embedding_is_named(shared: Path, tmp_path: Path) -> None:
    shutil.copytree(shared / "models/stories260K", tmp_path, dirs_exist_ok=True)
    tokenizer = load_tokenizer(HubModel(path=str(tmp_path), max_length=64))
    tokenizer.add_tokens(["<|turn|>"])
    tokenizer.save_pretrained(tmp_path)
    config = HubModel(path=str(tmp_path), max_length=64)
    assert len(render(config, SINGLES)) == len(SINGLES)
    with pytest.raises(
        ValueError, match=r"makes the token 512, '.*<\|turn\|>', but its embedding has 512 rows"
    ):
        render(config, Examples(texts=("hello <|turn|> you",)))
