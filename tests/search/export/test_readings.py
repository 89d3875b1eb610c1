from pathlib import Path
from typing import Any

import pytest

from search.config.schema import RunConfig
from search.export.parts.base import Reading
from search.export.readings import model_folder, models_of, reading
from trainers.components.stages import Chain
from trainers.data.examples import Examples
from trainers.data.tokens import Template
from trainers.method import Method
from trainers.models.settings import ToyModel

TEXTS = Examples(texts=("good",), question="Is this kind?")


def read(config: RunConfig, **more: Any) -> Reading:
    text = reading(config, config.strong.model, Path("winner-model"), TEXTS, **{"asked": False} | more)
    found: Reading = eval(text, {"Reading": Reading, "Template": Template})
    return found


def test_a_model_that_was_made_here_lies_beside_the_file(small: RunConfig) -> None:
    found = read(small)
    assert (found.path, found.revision, found.pool) == ("winner-model", None, "last")
    assert (found.vocabulary, found.template, found.questions) == (False, None, ())
    assert model_folder(Path("x/winner.py")) == Path("x/winner-model")
    assert model_folder(Path("x/winner.py"), 1) == Path("x/winner-model-1")


def test_a_model_that_is_asked_has_its_questions(small: RunConfig) -> None:
    asked = read(small, asked=True)
    assert [question.opening for question in asked.questions] == ["", "honestly ,"]
    spoken = small.strong.model.model_copy(update={"readout": "label_tokens"})
    speaks = small.model_copy(update={"strong": small.strong.model_copy(update={"model": spoken})})
    assert read(speaks).template == asked.questions[0]


@pytest.mark.parametrize(("length", "numbers"), [(1, [None, 1]), (2, [None, 0, 1])])
def test_the_models_of_a_chain_have_their_numbers(small: RunConfig, length: int, numbers: list[int]) -> None:
    between = (ToyModel(size="weak"), ToyModel(size="strong"))
    config = small.model_copy(update={"intermediates": between})
    models = models_of(config, Method(stages=Chain(length=length)))
    assert list(models) == numbers
    assert models[1] == between[1]
    assert list(models_of(config, Method())) == [None]
