from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trainers.components.labels import Soft
from trainers.components.optim import Adamw
from trainers.components.stages import Chain, SelfTrain
from trainers.components.staging.folds import held_out
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve
from trainers.components.staging.relabel import Known, OutOfFold, Posterior, relabelled
from trainers.components.staging.stage import Stage
from trainers.components.students import Probe, Student
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
    first, second = method.due_rungs((1 / 3, 1 / 2, 1.0))
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
    _, own = trial.stages
    trial.hand_over(0, finished(), FEATURES, np.zeros(2, dtype=np.float32))
    assert np.allclose(trial.targets(own).targets, LEARNT, atol=1e-6)
    assert trial.weights == {}  # fresh: nothing is carried over


def test_in_a_chain_the_method_mends_what_the_model_before_says() -> None:
    trial = runner(stages=Chain(length=1))
    first, last = trial.stages
    trial.hand_over(0, finished(), FEATURES, np.zeros(2, dtype=np.float32))
    assert np.allclose(trial.targets(last).targets, [1, 0, 1, 0])  # hard, of .73, .27, .88 and .5
    assert np.allclose(trial.targets(first).targets, [1, 0, 1, 0])


def test_continued_weights_are_handed_on_as_a_copy() -> None:
    trial, student = runner(stages=SelfTrain(rounds=1, fresh=False, targets="hard")), finished()
    trial.hand_over(0, student, FEATURES, np.zeros(2, dtype=np.float32))
    with torch.no_grad():
        student.module.weight.zero_()
    assert trial.weights["weight"].tolist() == [[0.0], [1.0]]


def test_an_ensemble_averages_log_odds_and_all_else_answers_with_the_last() -> None:
    earlier, now = np.array([2.0, -1.0], dtype=np.float32), np.array([0.0, 3.0], dtype=np.float32)
    several: tuple[tuple[dict[str, Any], list[float]], ...] = (
        ({"members": Ensemble(count=2)}, [1.0, 1.0]),
        ({"stages": SelfTrain(rounds=1)}, [0.0, 3.0]),
    )
    for slots, logits in several:
        trial = runner(**slots)
        trial.hand_over(0, finished(), FEATURES, earlier)
        assert np.allclose(trial.probs(now), 1 / (1 + np.exp(-np.array(logits))), atol=1e-6)


def test_what_finished_stages_have_left_outlives_the_process(tmp_path: Path) -> None:
    stages = SelfTrain(rounds=2, fresh=False, targets="hard")
    before = runner(tmp_path, stages=stages)
    own = before.stages[1]
    (tmp_path / "stage-0").mkdir()
    before.hand_over(0, finished(), FEATURES, np.array([2.0, -1.0], dtype=np.float32))
    before.save_if_worth_it(1)
    saved = torch.load(tmp_path / "finished-stages.pt", weights_only=True)
    assert saved.keys() == {"trial", "finished", "odds", "taught", "folded", "weights"}
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
    before, file = runner(tmp_path, members=Ensemble()), tmp_path / "finished-stages.pt"
    before.hand_over(0, finished(), FEATURES, np.array([2.0, -1.0], dtype=np.float32))
    before.save(1)
    content = bytearray(file.read_bytes())
    content[content.index(np.float32(2.0).tobytes() + np.float32(-1.0).tobytes())] ^= 1
    file.write_bytes(content if at is None else content[: int(len(content) * at)])
    assert runner(tmp_path, members=Ensemble()).restore() == 0
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


def test_labels_are_made_anew_from_what_the_student_predicts() -> None:
    trial = runner(relabel=Posterior(rounds=1))
    trial.hand_over(0, finished(), FEATURES, np.zeros(2, dtype=np.float32))
    found = trial.targets(trial.stages[1])
    hard = np.array([1.0, 0.0, 1.0, 0.0])
    expected = relabelled(Posterior(), Known(weak=hard, targets=hard, student=LEARNT.astype(np.float32)))
    np.testing.assert_allclose(found.targets, expected, atol=1e-6)
    assert found.plan.phases[0].weights.tolist() == [1, 1, 1, 1]


def test_a_fold_learns_the_others_and_predicts_its_own() -> None:
    trial = runner(relabel=OutOfFold(folds=2, answer="soft"))
    masks = []
    for place, shift in ((0, 0.0), (1, 5.0)):
        stage = trial.stages[place]
        assert stage.fold is not None
        masks.append(held_out(stage.fold, 4, seed=5))
        kept = trial.targets(stage).plan.phases[0].weights
        assert np.array_equal(kept > 0, ~masks[-1])
        student = finished()
        with torch.no_grad():
            student.module.bias.copy_(torch.tensor([0.0, shift]))
        trial.hand_over(place, student, FEATURES, np.zeros(2, dtype=np.float32))
    logits = np.array([1.0, -1.0, 2.0, 0.0]) + np.where(masks[1], 5.0, 0.0)
    student_probs = (1 / (1 + np.exp(-logits))).astype(np.float32)
    hard = np.array([1.0, 0.0, 1.0, 0.0])
    expected = relabelled(OutOfFold(answer="soft"), Known(weak=hard, targets=hard, student=student_probs))
    np.testing.assert_allclose(trial.targets(trial.stages[2]).targets, expected, atol=1e-5)


def test_rungs_of_folds_and_an_evolution() -> None:
    """Six steps on four examples, three on each half of them, and five of evolution: .5, .5, 1 and 1."""
    method = runner(relabel=OutOfFold(folds=2), refine=Evolve(steps=5), student=Probe())
    found = method.due_rungs((1 / 6, 1 / 2, 0.8, 1.0))
    assert [sorted(due) for due in found[:2]] == [[1.0], [1.0]]
    assert found[0] == {1.0: [1 / 6]}
    assert [np.ceil(share * 6) for share in found[2] if found[2][share]] == [3]
    assert {np.ceil(share * 5): due for share, due in found[3].items()} == {2: [0.8], 5: [1.0]}


def test_an_evolution_is_handed_weights_and_the_share_of_class_1() -> None:
    trial = runner(
        refine=Evolve(rate="weak"), student=Probe(), weak=np.array([0.9, 0.8, 0.7, 0.1], np.float32)
    )
    trial.hand_over(0, finished(), FEATURES, np.zeros(2, dtype=np.float32))
    assert trial.weights["weight"].tolist() == [[0.0], [1.0]]
    assert trial.rate == 0.75
    assert runner(refine=Evolve(), student=Probe()).rate == 0.5
