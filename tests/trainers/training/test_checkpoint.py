import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainers.training.conftest import SPLIT_BY_NONE, assert_close, examples, linear, recipe, trained
from trainers.components.optim import Adamw
from trainers.training.checkpoint import Checkpoint, UnreadableStateError
from trainers.training.loop import fit

pytestmark = pytest.mark.usefixtures("warm")


class Wobbly(nn.Module):
    """Two layers with dropout between, so that a state that forgets the random numbers shows."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.inner, self.outer = nn.Linear(3, 8), nn.Linear(8, 2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        dropped = nn.functional.dropout(self.inner(features).relu(), 0.3, self.training)
        logits: torch.Tensor = self.outer(dropped)
        return logits


@pytest.mark.parametrize("engine", SPLIT_BY_NONE)
def test_a_training_goes_on_from_its_last_rung_bit_for_bit(engine: dict[str, Any], tmp_path: Path) -> None:
    using = recipe(Adamw(lr=0.01, epochs=3, batch_size=4), **engine)
    rungs = (0.2, 0.6, 1.0)
    whole = trained(Wobbly(), examples(), using, rungs)

    dies = Wobbly()
    kept = Checkpoint(folder=tmp_path / "trial", after_s=0)
    training = fit(dies, list(dies.parameters()), *examples(), using, rungs, checkpoint=kept)
    assert [next(training), next(training)] == [0.2, 0.6]  # asked for the second, it has saved the first
    training.close()

    lives, reached = Wobbly(), []
    for share in fit(lives, list(lives.parameters()), *examples(), using, rungs, checkpoint=kept):
        reached.append(share)
        after = [parameter.detach().clone() for parameter in lives.parameters()]
    assert reached == [0.2, 0.6, 1.0]  # the rung that the state is of, once more
    assert all(torch.equal(a, b) for a, b in zip(after, whole, strict=True))
    assert len(list(kept.folder.glob("steps-*"))) == 1


@pytest.mark.parametrize(("wrote", "reads"), [("deepspeed", "torch"), ("torch", "deepspeed")])
def test_the_state_of_another_engine_is_not_taken(
    wrote: str, reads: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, optim = Checkpoint(folder=tmp_path, after_s=0), Adamw(lr=0.01, epochs=2, batch_size=4)
    trained(linear(), examples(), recipe(optim, backend=wrote), (0.5,), checkpoint=kept)
    whole = trained(linear(), examples(), recipe(optim, backend=reads))
    after = trained(linear(), examples(), recipe(optim, backend=reads), checkpoint=kept)
    assert all(torch.equal(a, b) for a, b in zip(after, whole, strict=True))
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.endswith(f"holds a state of {wrote}, and {reads} trains here: starting from the beginning")


def test_a_state_that_names_no_engine_is_deepspeeds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept, optim = Checkpoint(folder=tmp_path, after_s=0), Adamw(lr=0.01, epochs=2, batch_size=4)
    using = recipe(optim, backend="deepspeed")
    trained(linear(), examples(), using, (0.5,), checkpoint=kept)
    latest = json.loads((tmp_path / "latest.json").read_text())
    assert latest.pop("engine") == "deepspeed"
    (tmp_path / "latest.json").write_text(json.dumps(latest))  # as earlier versions wrote it
    with caplog.at_level("INFO", logger="trainers"):
        trained(linear(), examples(), using, (0.5, 1.0), checkpoint=kept)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("trainers")] == [
        "resuming after step 5"
    ]


def test_the_state_of_another_training_is_not_taken(tmp_path: Path) -> None:
    kept = Checkpoint(folder=tmp_path, after_s=0)
    optim = Adamw(lr=0.01, epochs=2, batch_size=4)
    trained(Wobbly(), examples(), recipe(optim, seed=1), (0.5, 1.0), checkpoint=kept)
    assert list(tmp_path.glob("steps-*"))
    ours = trained(Wobbly(), examples(), recipe(optim, seed=2), (0.5, 1.0), checkpoint=kept)
    assert_close(ours, trained(Wobbly(), examples(), recipe(optim, seed=2), (0.5, 1.0)), 0)


def test_a_short_training_leaves_no_state(tmp_path: Path) -> None:
    kept = Checkpoint(folder=tmp_path / "trial", after_s=60)
    trained(linear(), examples(), recipe(Adamw()), (0.5, 1.0), checkpoint=kept)
    assert not kept.folder.exists()


OPTIM = Adamw(lr=0.01, epochs=2, batch_size=4)
RUNGS = (0.5, 1.0)


def optimizer_state(folder: Path) -> Path:
    [file] = folder.glob("steps-*/state/*optim_states.pt")
    return file


def halve(folder: Path) -> None:
    file = optimizer_state(folder)
    os.truncate(file, file.stat().st_size // 2)


def empty(folder: Path) -> None:
    os.truncate(optimizer_state(folder), 0)


def flip_a_bit(folder: Path) -> None:
    file = optimizer_state(folder)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def remove_a_file(folder: Path) -> None:
    optimizer_state(folder).unlink()


def remove_the_state(folder: Path) -> None:
    [state] = folder.glob("steps-*")
    shutil.rmtree(state)


def empty_latest(folder: Path) -> None:
    os.truncate(folder / "latest.json", 0)


def halve_latest(folder: Path) -> None:
    os.truncate(folder / "latest.json", 20)


def remove_latest(folder: Path) -> None:
    (folder / "latest.json").unlink()


def another_folder(folder: Path) -> None:
    latest = json.loads((folder / "latest.json").read_text())
    (folder / "latest.json").write_text(json.dumps(latest | {"state": "../../elsewhere"}))


DAMAGES = (
    halve,
    empty,
    flip_a_bit,
    remove_a_file,
    remove_the_state,
    empty_latest,
    halve_latest,
    remove_latest,
    another_folder,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_state_starts_the_training_anew(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, using = Checkpoint(folder=tmp_path, after_s=0), recipe(OPTIM, zero_stage=1)
    trained(Wobbly(), examples(), using, RUNGS[:1], checkpoint=kept)
    damage(tmp_path)
    anew = trained(Wobbly(), examples(), using, RUNGS, checkpoint=kept)
    assert "starting from the beginning" in caplog.text
    assert {record.levelname for record in caplog.records if "beginning" in record.message} == {"WARNING"}
    assert_close(anew, trained(Wobbly(), examples(), using, RUNGS), 0)


class Planted:
    """Unpickling it would run a command."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.sign}",)


@pytest.mark.parametrize("part", ["*model_states.pt", "*optim_states.pt"])
def test_a_planted_state_runs_no_code_and_is_no_fault_of_the_method(part: str, tmp_path: Path) -> None:
    folder, sign = tmp_path / "trial", tmp_path / "sign"
    kept, using = Checkpoint(folder=folder, after_s=0), recipe(OPTIM, zero_stage=1)
    trained(Wobbly(), examples(), using, RUNGS[:1], checkpoint=kept)
    [file] = folder.glob(f"steps-*/state/{part}")
    content = torch.load(file, weights_only=False) | {"planted": Planted(sign)}
    torch.save(content, file)
    latest = json.loads((folder / "latest.json").read_text())
    latest["files"][f"state/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "latest.json").write_text(json.dumps(latest))
    with pytest.raises(
        UnreadableStateError, match="cannot be loaded"
    ):  # an OSError: the worker's, not the method's
        trained(Wobbly(), examples(), using, RUNGS, checkpoint=kept)
    assert not sign.exists()
    assert not folder.exists()  # the next process starts anew
