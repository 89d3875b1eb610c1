"""Any method of the catalogue can be written as one file, whose answers are those of the trainers."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests.search.export.conftest import Trained
from tests.search.export.test_recipe import SMALLER, answers, base  # noqa: F401  # a fixture
from tests.small_runs.random_methods import draw_method
from trainers.method import Abilities, Method
from trainers.training.session import Diverged

METHODS = int(os.environ.get("RANDOM_SCRIPTS", "4"))  # half of them on pairs


def drawn(rng: np.random.Generator, *, pairs: bool) -> Method:
    able = Abilities(prior=True, intermediates=len(SMALLER), pairs=pairs, panel=True)
    while True:
        try:
            method = draw_method(rng)
        except ValidationError:
            continue
        if method.refused(able) is None:
            return method


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_method_can_be_written_and_answers_alike(
    trained: Callable[..., Trained],
    base: Path,  # noqa: F811  # the fixture
) -> None:
    rng = np.random.default_rng(5)
    alike = 0
    for number in range(METHODS):
        pairs = number % 2 == 1
        method = drawn(rng, pairs=pairs)
        try:
            expected = trained(method, pairs=pairs, panel=True, smaller=SMALLER)
        except (Diverged, ValueError):  # of random numbers some train to nothing
            continue
        found = answers(expected, method, base)
        np.testing.assert_allclose(found, expected.probs, atol=1e-4, err_msg=method.model_dump_json())
        alike += 1
    assert alike >= METHODS / 2
