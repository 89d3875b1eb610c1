import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.export.folder import reader, write_models
from search.export.parts.reading import load
from tests.search.export.conftest import OPTIM, Trained
from trainers.components.optim import Adamw
from trainers.components.orders import BothOrders, PlainInputs
from trainers.components.staging.members import Ensemble
from trainers.components.students import Full, Lora, Probe
from trainers.method import Method

PROBE = Adamw(lr=0.1, epochs=8, batch_size=16)


def exported(trained: Trained, method: Method, folder: Path) -> dict[str, Any]:
    return write_models(folder, trained.config, method, trained.members, trained.learn, 3)


CASES: list[tuple[Method, bool, str]] = [
    (Method(student=Lora(rank=4), optim=OPTIM), False, "head"),
    (Method(student=Probe(), optim=PROBE, members=Ensemble(count=3, aggregate="median")), False, "head"),
    (Method(student=Probe(), optim=PROBE, inputs=BothOrders()), True, "head"),
    (Method(student=Full(), optim=OPTIM), False, "label_tokens"),
    (Method(student=Full(), optim=OPTIM), False, "head"),
    (Method(student=Probe(layer=0.4), optim=PROBE), False, "head"),
    (Method(student=Lora(rank=4), optim=OPTIM), False, "label_tokens"),
    (Method(student=Lora(rank=2), optim=OPTIM, inputs=PlainInputs(answer="averaged")), True, "head"),
    (
        Method(
            student=Lora(rank=2),
            optim=Adamw(lr=3e-3, epochs=1),
            members=Ensemble(count=4, aggregate="trimmed", trim=0.25),
        ),
        False,
        "head",
    ),
]
FAST = 4  # of the cases


@pytest.mark.parametrize(
    ("method", "pairs", "readout"),
    [pytest.param(*case, marks=() if i < FAST else pytest.mark.slow) for i, case in enumerate(CASES)],
    ids=lambda value: getattr(getattr(value, "student", value), "kind", str(value)),
)
def test_a_folder_gives_the_answers_of_the_trainers(
    method: Method, pairs: bool, readout: str, trained: Callable[..., Trained], tmp_path: Path
) -> None:
    expected = trained(method, pairs=pairs, readout=readout)
    assert len(expected.members) == method.members.count
    about = exported(expected, method, tmp_path)
    assert json.loads((tmp_path / "export.json").read_text()) == about
    np.testing.assert_allclose(load(tmp_path).probabilities(expected.asked), expected.probs, atol=1e-5)


def test_an_ensemble_that_stops_early_has_the_members_that_were_trained(
    trained: Callable[..., Trained], tmp_path: Path
) -> None:
    method = Method(student=Probe(), optim=PROBE.model_copy(update={"stop": 0.5}), members=Ensemble(count=3))
    expected = trained(method)
    assert len(expected.members) == 2  # the second half way
    exported(expected, method, tmp_path)
    np.testing.assert_allclose(load(tmp_path).probabilities(expected.asked), expected.probs, atol=1e-5)


def test_the_reader_names_nothing_of_this_package() -> None:
    text = reader()
    compile(text, "predict.py", "exec")
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert not [
        line for line in imports if line.split()[1].partition(".")[0] in ("search", "trainers", "agents")
    ]
