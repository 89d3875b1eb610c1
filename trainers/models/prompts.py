"""How a model is asked: the templates of its read-out, and those of its zero-shot prior."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from transformers import PreTrainedTokenizerBase

from trainers.data.examples import Examples
from trainers.data.tokens import PLAIN_PAIR, Template, Tokens, tokenize
from trainers.data.toy_text import VERDICTS
from trainers.models.hub import has_language_model, hub_shape
from trainers.models.pool import load_tokenizer
from trainers.models.settings import HubModel, ToyModel

Templates = tuple[Template, ...]

# The first of each is what a label-token read-out uses; the prior averages over all.
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
# A toy review ends on its question already.
TOY: Templates = (Template(words=VERDICTS), Template(opening="honestly ,", words=VERDICTS))


@dataclass(frozen=True, kw_only=True)
class Question:
    """The same examples put in one way to a language model; swapped: with each pair's responses exchanged."""

    shown: Tokens
    swapped: Tokens | None


@cache
def can_elicit(config: HubModel | ToyModel) -> bool:
    """Whether the model can be asked for an answer of its own: whether it is a language model.

    Raises ValueError, one line, where a hub model's settings cannot be read or do not fit.
    """
    return isinstance(config, ToyModel) or has_language_model(hub_shape(config))


def render(config: HubModel | ToyModel, examples: Examples) -> Tokens:
    """The examples as this model's read-out takes them; raises as `trainers.data.tokens.tokenize`."""
    tokenizer = load_tokenizer(config)
    template = templates(config, examples)[0] if config.readout == "label_tokens" else None
    return tokenize(examples, tokenizer, tokenizer.model_max_length, template)


def ask(config: HubModel | ToyModel, examples: Examples) -> tuple[Question, ...]:
    """The examples as questions to this model, one a template; none where it cannot be asked.

    Where the examples come with a question of their own, it is put in the place of the usual one.
    """
    if not can_elicit(config):
        return ()
    tokenizer = load_tokenizer(config)
    return tuple(
        _question(_asking(one, examples), examples, tokenizer) for one in templates(config, examples)
    )


def _asking(template: Template, examples: Examples) -> Template:
    """The template with the examples' own question, its answer words still the next thing to say.

    A template without a question, whose examples end on one, stays as it is.
    """
    if examples.question is None or not template.question:
        return template
    zero, one = template.words
    asked = f"\n\n{examples.question.strip()} Answer {zero} or {one}.\nAnswer:"
    return replace(template, question=asked)


def _question(template: Template, examples: Examples, tokenizer: PreTrainedTokenizerBase) -> Question:
    def shown(shown_examples: Examples) -> Tokens:
        return tokenize(shown_examples, tokenizer, tokenizer.model_max_length, template)

    if examples.pairs is None:
        return Question(shown=shown(examples), swapped=None)
    exchanged = tuple((second, first) for first, second in examples.pairs)
    return Question(shown=shown(examples), swapped=shown(replace(examples, pairs=exchanged)))


def templates(config: HubModel | ToyModel, examples: Examples) -> Templates:
    """The templates for this model and these examples, at least two."""
    return TEMPLATES[type(config)][examples.pairs is not None]


TEMPLATES: dict[type[Any], tuple[Templates, Templates]] = {HubModel: (SINGLE, PAIR), ToyModel: (TOY, TOY)}
