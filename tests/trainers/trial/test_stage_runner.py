from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainers.components.labels import Soft
from trainers.components.optim import Adamw
from trainers.components.stages import Chain, Ensemble, SelfTrain, Stage, stages_of
from trainers.components.students import Student
from trainers.components.weak_labels import Evidence
from trainers.method import Method
from trainers.training.checkpoint import Checkpoint
from trainers.training.inputs import FeatureInputs
from trainers.training.orders import Asked
from trainers.trial.stage_runner import StageRunner

WEAK = np.array([0.9, 0.4, 0.6, 0.2], dtype=np.float32)
FEATURES = Asked(shown=FeatureInputs(features=torch.tensor([[1.0], [-1.0], [2.0], [0.0]])), swapped=None)
OPTIM = Adamw(epochs=3, batch_size=2)  # two steps an epoch, six a training
LEARNT = 1 / (1 + np.exp(-np.array([1.0, -1.0, 2.0, 0.0])))  # of a student whose log-odds are its feature


def runner(
    checkpoint: Path | None = None, *, seed: int = 5, weak: np.ndarray = WEAK, **slots: Any
) -> StageRunner:
    evidence = Evidence(
        weak_probs=weak, features=lambda: np.eye(len(weak)), prior=lambda: np.full(len(weak), 0.5), seed=seed
    )
    kept = checkpoint and Checkpoint(folder=checkpoint, after_s=0)
    return StageRunner(Method(**({"optim": OPTIM} | slots)), evidence, seed, kept)


def finished() -> Student:
    """A student whose log-odds of class 1 are the example's feature."""
    layer = nn.Linear(1, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0], [1.0]]))
        layer.bias.zero_()
    return Student(module=layer, parameters=list(layer.parameters()), layer=0)


def test_members_have_seeds_of_their_own_and_the_first_the_trial_s() -> None:
    seeds = [runner().seed_of(Stage(member=member)) for member in range(4)]
    assert seeds[0] == 5
    assert seeds[1] == int(np.random.SeedSequence([5, 1]).generate_state(1)[0])
    assert len(set(seeds)) == 4
    assert runner(seed=6).seed_of(Stage(member=1)) not in seeds


def test_rungs_fall_on_steps_of_the_stages_in_turn() -> None:
    """Two trainings of six steps: the rung at 1/3 is the fourth step, that at 1/2 the end of the first."""
    method = runner(stages=SelfTrain(rounds=1))
    stages = stages_of(SelfTrain(rounds=1), 0)
    first, second = method.due_rungs(stages, (1 / 3, 1 / 2, 1.0))
    assert list(first.values()) == [[1 / 3], [1 / 2]]
    assert [np.ceil(share * 6) for share in first] == [4, 6]
    assert second == {1.0: [1.0]}


def test_the_first_stage_learns_the_weak_labels_as_the_method_mends_them() -> None:
    assert np.allclose(runner().targets(Stage()).targets, [1, 0, 1, 0])
    sharpened = runner(labels=Soft(temperature=0.5)).targets(Stage()).targets
    odds = (WEAK / (1 - WEAK)) ** 2  # a temperature of one half squares them
    assert np.allclose(sharpened, odds / (1 + odds), atol=1e-6)


def test_a_student_of_its_own_learns_what_the_one_before_predicts() -> None:
    trial = runner(stages=SelfTrain(rounds=1, targets="soft"))
    _, own = stages_of(SelfTrain(rounds=1), 0)
    trial.hand_over(finished(), FEATURES, np.zeros(2, dtype=np.float32), own)
    assert np.allclose(trial.targets(own).targets, LEARNT, atol=1e-6)
    assert trial.weights == {}  # fresh: nothing is carried over


def test_in_a_chain_the_method_mends_what_the_model_before_says() -> None:
    trial = runner(stages=Chain(length=1))
    first, last = stages_of(Chain(length=1), 1)
    trial.hand_over(finished(), FEATURES, np.zeros(2, dtype=np.float32), last)
    assert np.allclose(trial.targets(last).targets, [1, 0, 1, 0])  # hard, of .73, .27, .88 and .5
    assert np.allclose(trial.targets(first).targets, [1, 0, 1, 0])


def test_continued_weights_are_handed_on_as_a_copy() -> None:
    trial, student = runner(stages=SelfTrain(rounds=1, fresh=False, targets="hard")), finished()
    trial.hand_over(student, FEATURES, np.zeros(2, dtype=np.float32), Stage(teacher="self", continues=True))
    with torch.no_grad():
        student.module.weight.zero_()
    assert trial.weights["weight"].tolist() == [[0.0], [1.0]]


def test_an_ensemble_averages_log_odds_and_all_else_answers_with_the_last() -> None:
    earlier, now = np.array([2.0, -1.0], dtype=np.float32), np.array([0.0, 3.0], dtype=np.float32)
    for stages, logits in ((Ensemble(members=2), [1.0, 1.0]), (SelfTrain(rounds=1), [0.0, 3.0])):
        trial = runner(stages=stages)
        trial.hand_over(finished(), FEATURES, earlier, Stage(member=1))
        assert np.allclose(trial.probs(now), 1 / (1 + np.exp(-np.array(logits))), atol=1e-6)


def test_what_finished_stages_have_left_outlives_the_process(tmp_path: Path) -> None:
    stages = SelfTrain(rounds=2, fresh=False, targets="hard")
    own = stages_of(stages, 0)[1]
    before = runner(tmp_path, stages=stages)
    (tmp_path / "stage-0").mkdir()
    before.hand_over(finished(), FEATURES, np.array([2.0, -1.0], dtype=np.float32), own)
    before.save_if_worth_it(1)
    saved = torch.load(tmp_path / "finished-stages.pt", weights_only=True)
    assert saved.keys() == {"trial", "finished", "odds", "taught", "weights"}  # as earlier versions wrote it
    assert not (tmp_path / "stage-0").exists()  # the training's own state is of no use any more

    after = runner(tmp_path, stages=stages)
    assert after.restore() == 1
    assert np.array_equal(after.targets(own).targets, before.targets(own).targets)
    assert np.array_equal(after.probs(), before.probs())
    assert {name: value.tolist() for name, value in after.weights.items()} == {
        "weight": [[0.0], [1.0]],
        "bias": [0.0, 0.0],
    }


@pytest.mark.parametrize("at", [0, 0.5, None])
def test_damaged_results_of_stages_start_the_trial_anew(
    tmp_path: Path, at: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Empty, cut in the middle, or a bit of the predictions flipped."""
    before, file = runner(tmp_path), tmp_path / "finished-stages.pt"
    before.hand_over(finished(), FEATURES, np.array([2.0, -1.0], dtype=np.float32), Stage())
    before.save(1)
    content = bytearray(file.read_bytes())
    content[content.index(np.float32(2.0).tobytes() + np.float32(-1.0).tobytes())] ^= 1
    file.write_bytes(content if at is None else content[: int(len(content) * at)])
    assert runner(tmp_path).restore() == 0
    assert f"{file} is damaged" in caplog.text


@pytest.mark.parametrize(
    "changes", [{"seed": 6}, {"optim": Adamw(epochs=4, batch_size=2)}, {"weak": WEAK[::-1].copy()}]
)
def test_the_state_of_another_trial_is_left_alone(
    tmp_path: Path, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    runner(tmp_path).save(1)
    assert runner(tmp_path).restore() == 1
    assert runner(tmp_path, **changes).restore() == 0
    assert f"{tmp_path} holds the state of another trial" in caplog.text


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    trial = runner()
    trial.save(1)
    assert trial.restore() == 0
    assert trial.checkpoint_of(0) is None
    kept = runner(tmp_path).checkpoint_of(2)
    assert kept == Checkpoint(folder=tmp_path / "stage-2", after_s=0)
    assert runner(tmp_path / "none").restore() == 0


def test_a_short_training_leaves_nothing(tmp_path: Path) -> None:
    evidence = Evidence(weak_probs=WEAK, features=lambda: WEAK, prior=lambda: WEAK, seed=0)
    trial = StageRunner(Method(), evidence, 0, Checkpoint(folder=tmp_path, after_s=60))
    trial.save_if_worth_it(1)
    assert list(tmp_path.iterdir()) == []
