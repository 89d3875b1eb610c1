"""What is asked, of which forms of the examples; test_recipe.py compares answers with the trainers'."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.export.parts import asking
from search.export.parts.splits import Data
from trainers.data.examples import Examples

SINGLE = Examples(texts=("a", "b"))
PAIRS = Examples(texts=("p", "q"), pairs=(("a", "b"), ("c", "d")))


def data(examples: Examples) -> Data:
    base: Any = SimpleNamespace(ask=lambda of: ["asked", of], tokens=lambda of: of)
    return Data(base, examples)


def test_the_model_is_asked_once_for_margins_and_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def margins(pool: object, questions: Any) -> Any:
        calls.append(questions)
        return np.log(np.array([[[1.0, 3.0]], [[3.0, 3.0]]]))

    monkeypatch.setattr(asking, "zero_shot_margins", margins)
    asked = data(SINGLE)
    assert asking.ask_margins(asked).shape == (2, 1, 2)
    assert asking.ask_prior(asked).tolist() == pytest.approx([0.625, 0.75])
    assert calls == [["asked", SINGLE]]


@pytest.mark.parametrize("examples", [SINGLE, PAIRS])
def test_a_consistent_probe_sees_both_orders_or_both_answers(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "consistency_of_orders", lambda pool, *forms: forms)
    monkeypatch.setattr(asking, "consistency_of_answers", lambda pool, questions: questions)
    expected: Any = ["asked", SINGLE] if examples is SINGLE else (PAIRS, PAIRS.exchanged())
    assert asking.ask_consistency(data(examples)) == expected
