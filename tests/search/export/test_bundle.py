import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from search.export.bundle import bundle, settings_literal
from trainers.components.neighbours import nearest
from trainers.components.repairing.propagation import propagated
from trainers.components.selection import Confidence


def built(*roots: tuple[str, str]) -> tuple[str, Any]:
    """The text of a file of these definitions, and the module that it makes."""
    imports, texts = bundle(roots)
    text = "\n".join(["from __future__ import annotations", *imports, "\n\n".join(texts)])
    module = ModuleType("bundled")
    sys.modules["bundled"] = module  # dataclasses look there
    exec(compile(text, "bundled.py", "exec"), vars(module))
    return text, module


def test_what_a_definition_uses_comes_along_and_computes_the_same() -> None:
    text, bundled = built(
        ("trainers.components.repairing.propagation", "propagated"),
        ("trainers.components.neighbours", "nearest"),
    )
    rng = np.random.default_rng(0)
    features, probs = rng.normal(size=(30, 4)), rng.random(30)
    np.testing.assert_array_equal(
        bundled.propagated(bundled.nearest(features, 3), probs, 0.9),
        propagated(nearest(features, 3), probs, 0.9),
    )
    assert "trainers import" not in text
    assert "def similarity_graph" in text
    assert "type: ignore" not in text


def test_names_that_would_clash_are_renamed() -> None:
    text, bundled = built(
        ("trainers.components.probing", "CrossFittedProbe"),
        ("trainers.components.repairing.propagation", "spread"),
    )
    assert (bundled.STEPS, bundled.STEPS_of_propagation) == (400, 1000)
    assert "maxiter=STEPS_of_propagation" in text


def test_a_module_comes_after_those_that_it_uses() -> None:
    text, _ = built(("search.export.parts.reading", "load"))
    assert text.index("# trainers/models/head.py") < text.index("# trainers/models/pool.py")
    assert text.index("# trainers/models/pool.py") < text.index("# search/export/parts/base.py")


def test_settings_are_dataclasses_without_bounds() -> None:
    text, bundled = built(("trainers.components.selection", "keep_confident"))
    confidence = bundled.Confidence(share=0.3, balanced=False, weights="equal")
    assert confidence.share == 0.3
    assert "pydantic" not in text
    assert eval(settings_literal(Confidence(share=0.3)), vars(bundled)) == confidence


def test_types_that_only_annotations_name_bring_nothing_with_them() -> None:
    text, _ = built(("trainers.training.loop", "total_steps"))
    assert "class EngineConfig" not in text
    assert "class Plan" not in text
    assert "Plan = Any" in text


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trainers\.seeds has no definition of nothing"):
        bundle([("trainers.seeds", "nothing")])
