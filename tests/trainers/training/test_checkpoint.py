from pathlib import Path

import pytest
import torch
from torch import nn

from tests.trainers.training.conftest import assert_close, examples, linear, recipe, trained
from trainers.components.optim import Adamw
from trainers.training.checkpoint import Checkpoint
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


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_training_goes_on_from_its_last_rung_bit_for_bit(stage: int, tmp_path: Path) -> None:
    using = recipe(Adamw(lr=0.01, epochs=3, batch_size=4), zero_stage=stage)
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
