"""A real encoder: special tokens around a text, a pooler that nothing reads, the mean of hidden states."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.export.card import card
from search.export.choice import Chosen
from search.export.parts.reading import load
from search.export.recipe import script
from search.ledger.record import Record
from tests.search.export.conftest import Trained
from tests.search.export.test_folder import exported
from tests.search.export.test_recipe import as_module
from trainers.components.optim import Adamw
from trainers.components.repairs import Neighbours
from trainers.components.students import Lora, Probe
from trainers.method import Method
from trainers.models.settings import HubModel

METHODS = {
    "probe": Method(
        student=Probe(layer=0.5), repair=Neighbours(k=3), optim=Adamw(lr=0.05, batch_size=16, epochs=4)
    ),
    "lora": Method(student=Lora(rank=2), optim=Adamw(lr=3e-3, batch_size=16, epochs=1)),
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]


@pytest.mark.slow
def test_a_real_encoder_answers_alike_everywhere(
    method: Method,
    trained: Callable[..., Trained],
    minilm: Path,
    tmp_path: Path,
    events: SimpleNamespace,
) -> None:
    """By the folder's reader, by the lines of its card, and by the file that trains it."""
    expected = trained(method, model=HubModel(path=str(minilm), max_length=32))
    about = exported(expected, method, tmp_path)
    assert expected.probs.std() > 0.005
    np.testing.assert_allclose(load(tmp_path).probabilities(expected.asked), expected.probs, atol=1e-5)

    chosen = Chosen(name="best", method=method, seed=3, split="test")
    text = card(expected.config, Record.of([events.run_started()]), chosen, about, None)
    lines = text.split("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"FOLDER": str(tmp_path), "TEXTS": list(expected.asked.texts)}
    exec(lines, names)
    by_lines = names["probabilities"][:, 1].detach().numpy()
    np.testing.assert_allclose(by_lines, expected.probs, atol=1e-4)

    it = as_module(script(expected.config, Record(), chosen, Path("it.py"), expected.learn))
    answers = it.run(it.RECIPE, it.Base(it.READING), expected.learn, expected.weak, expected.asked)
    np.testing.assert_allclose(answers, expected.probs, atol=1e-4)
