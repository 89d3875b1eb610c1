"""Prompts: the templates of a model's read-out and of its zero-shot prior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from trainers.data.examples import Examples
from trainers.data.tokens import PLAIN_PAIR, Template, Tokens, tokenize
from trainers.data.toy_text import VERDICTS
from trainers.models.chats import as_chats
from trainers.models.hub import embedding_rows, has_language_model, hub_shape
from trainers.models.pool import load_tokenizer
from trainers.models.settings import HubModel, ToyModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Templates = tuple[Template, ...]

# A label-token read-out uses the first template of each; the prior averages over all.
SINGLE: Templates = (
    Template(question="\n\nTrue or False? The answer is", words=("False", "True")),
    Template(question="\n\nQuestion: is this right, yes or no?\nAnswer:", words=("no", "yes")),
)
PAIR: Templates = (
    PLAIN_PAIR,
    Template(
        before_first="\n\nFirst response:\n",
        before_second="\n\nSecond response:\n",
        question="\n\nOf the two responses, the better one is the",
        words=("first", "second"),
    ),
)
# A toy review already ends with its question.
TOY: Templates = (Template(words=VERDICTS), Template(opening="honestly ,", words=VERDICTS))


@dataclass(frozen=True, kw_only=True)
class Question:
    """The examples as a template asks them; swapped: with each pair's responses exchanged."""

    shown: Tokens
    swapped: Tokens | None


@cache
def can_elicit(config: HubModel | ToyModel) -> bool:
    """Whether the model can give a zero-shot answer, i.e. is a language model.

    Raises ValueError, on one line, if a hub model's configuration cannot be read or does not fit.
    """
    return isinstance(config, ToyModel) or has_language_model(hub_shape(config))


def render(config: HubModel | ToyModel, examples: Examples) -> Tokens:
    """The examples in the form of this model's read-out; raises as `trainers.data.tokens.tokenize`.

    Messages are read by the model's chat template, if it has one.
    """
    tokenizer = load_tokenizer(config)
    template = templates(config, examples)[0] if config.readout == "label_tokens" else None
    return _tokens(config, as_chats(examples, tokenizer), tokenizer, template)


def ask(config: HubModel | ToyModel, examples: Examples) -> tuple[Question, ...]:
    """The examples as questions to this model, one per template; none if the model cannot be asked.

    If the examples have their own question, it replaces the template's.
    """
    if not can_elicit(config):
        return ()
    tokenizer = load_tokenizer(config)
    examples = as_chats(examples, tokenizer)
    return tuple(_question(config, template, examples, tokenizer) for template in questions(config, examples))


def _tokens(
    config: HubModel | ToyModel,
    examples: Examples,
    tokenizer: PreTrainedTokenizerBase,
    template: Template | None,
) -> Tokens:
    """Tokenize for this model; raises ValueError for a token that its embedding has no row for."""
    if not isinstance(config, HubModel):
        return tokenize(examples, tokenizer, tokenizer.model_max_length, template)
    try:
        tokens = tokenize(examples, tokenizer, tokenizer.model_max_length, template)
    except ValueError as error:
        raise ValueError(f"model {config.path!r}: {error}") from None
    largest, rows = int(tokens.ids.max()), embedding_rows(config)
    if largest >= rows:
        raise ValueError(
            f"model {config.path!r}: its tokenizer makes the token {largest}, "
            f"{tokenizer.convert_ids_to_tokens(largest)!r}, but its embedding has {rows} rows: take the "
            "tokenizer of the same model, or resize the embedding"
        )
    return tokens


def questions(config: HubModel | ToyModel, examples: Examples) -> Templates:
    """The templates by which this model is asked about these examples, with the examples' own question."""
    return tuple(_asking(template, examples) for template in templates(config, examples))


def _asking(template: Template, examples: Examples) -> Template:
    """The template with the examples' own question, ending so that an answer word comes next.

    A template without a question, whose examples end with it, stays as it is.
    """
    if examples.question is None or not template.question:
        return template
    negative, positive = template.words
    question = f"\n\n{examples.question.strip()} Answer {negative} or {positive}.\nAnswer:"
    return replace(template, question=question)


def _question(
    config: HubModel | ToyModel, template: Template, examples: Examples, tokenizer: PreTrainedTokenizerBase
) -> Question:
    def shown(shown_examples: Examples) -> Tokens:
        return _tokens(config, shown_examples, tokenizer, template)

    if examples.pairs is None:
        return Question(shown=shown(examples), swapped=None)
    return Question(shown=shown(examples), swapped=shown(examples.exchanged()))


def templates(config: HubModel | ToyModel, examples: Examples) -> Templates:
    """The templates for this model and these examples, at least two."""
    return TEMPLATES[type(config)][examples.pairs is not None]


TEMPLATES: dict[type[Any], tuple[Templates, Templates]] = {HubModel: (SINGLE, PAIR), ToyModel: (TOY, TOY)}
