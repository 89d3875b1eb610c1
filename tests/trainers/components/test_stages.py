from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.components.stages import (
    STAGES,
    Chain,
    Ensemble,
    Once,
    SelfTrain,
    Stage,
    combined_probs,
    due_rungs,
    own_targets,
    stages_of,
    taught_by,
)
from trainers.components.weak_labels import Evidence


def evidence(predictions: list[float]) -> Evidence:
    probs = np.array(predictions, dtype=np.float32)
    return Evidence(weak_probs=probs, features=lambda: np.eye(len(probs)), prior=lambda: probs, seed=0)


def logits(*probs: float) -> np.ndarray:
    p = np.array(probs)
    return np.asarray(np.log(p / (1 - p)), dtype=np.float32)


def test_once_is_one_training() -> None:
    assert stages_of(Once(), 3) == (Stage(),)


@pytest.mark.parametrize("fresh", [True, False])
def test_self_training_learns_from_the_weak_labels_first(fresh: bool) -> None:
    first, *others = stages_of(SelfTrain(rounds=3, fresh=fresh), 0)
    assert first == Stage()
    assert others == [Stage(teacher="self", continues=not fresh)] * 3


@pytest.mark.parametrize(
    ("given", "length", "learners"),
    [(1, 1, [0]), (3, 1, [1]), (3, 2, [0, 2]), (4, 2, [1, 2]), (4, 4, [0, 1, 2, 3]), (5, 3, [1, 2, 4])],
)
def test_a_chain_goes_through_evenly_spread_models(given: int, length: int, learners: list[int]) -> None:
    first, *others = stages_of(Chain(length=length), given)
    assert first == Stage(learner=learners[0])
    assert [stage.learner for stage in others] == [*learners[1:], None]
    assert {stage.teacher for stage in others} == {"previous"}


@given(given=st.integers(1, 12), length=st.integers(1, 4))
def test_a_chain_grows(given: int, length: int) -> None:
    if length <= given:
        *learners, last = (stage.learner for stage in stages_of(Chain(length=length), given))
        assert last is None
        known = [learner for learner in learners if learner is not None]
        assert known == sorted(set(known))
        assert len(known) == length
        assert 0 <= known[0] <= known[-1] < given


def test_an_ensembles_members_differ_by_seed_alone() -> None:
    assert stages_of(Ensemble(members=3), 0) == (Stage(member=0), Stage(member=1), Stage(member=2))


def test_two_members_cannot_be_trimmed() -> None:
    with pytest.raises(ValueError, match="needs members of at least 3, got 2: use mean"):
        Ensemble(members=2, average="trimmed")


@pytest.mark.parametrize(
    ("targets", "expected", "kept"),
    [
        ("soft", [0.9, 0.4, 0.5, 0.2], [1, 1, 1, 1]),
        ("hard", [1, 0, 0, 0], [1, 1, 1, 1]),
        ("confident", [1, 0, 0, 0], [1, 0, 0, 1]),
    ],
)
def test_what_a_student_learns_from_itself(
    targets: Literal["soft", "hard", "confident"], expected: list[float], kept: list[int]
) -> None:
    learned = own_targets(SelfTrain(targets=targets, share=0.5), evidence([0.9, 0.4, 0.5, 0.2]))
    np.testing.assert_allclose(learned.targets, expected, rtol=1e-6)
    assert learned.targets.dtype == np.float32
    (phase,) = learned.plan.phases
    assert phase.weights.tolist() == kept


def test_a_model_takes_the_weak_supervisors_place() -> None:
    before = evidence([0.1, 0.2])
    after = taught_by(before, np.array([0.7, 0.8], dtype=np.float32))
    assert after.weak_probs.tolist() == pytest.approx([0.7, 0.8])
    assert after.prior is before.prior


def test_the_present_model_answers_alone_but_in_an_ensemble() -> None:
    given = [logits(0.9, 0.2), logits(0.6, 0.3)]
    for config in (Once(), SelfTrain(), Chain()):
        np.testing.assert_allclose(combined_probs(config, given), [0.6, 0.3], rtol=1e-5)
    # Log-logits of 0.9 and 0.5 are log 9 and 0: their mean is log 3, which is 0.75.
    np.testing.assert_allclose(combined_probs(Ensemble(), [logits(0.9), logits(0.5)]), [0.75], rtol=1e-5)
    assert combined_probs(Ensemble(), given).dtype == np.float32


def test_a_trimmed_average_leaves_out_both_ends() -> None:
    config = Ensemble(members=5, average="trimmed")
    outliers = [logits(0.999), logits(0.9), logits(0.5), logits(0.0001)]
    np.testing.assert_allclose(combined_probs(config, outliers), [0.75], rtol=1e-5)
    # With one or two members so far there is nothing to leave out.
    np.testing.assert_allclose(combined_probs(config, [logits(0.9), logits(0.5)]), [0.75], rtol=1e-5)
    np.testing.assert_allclose(combined_probs(config, [logits(0.9)]), [0.9], rtol=1e-5)


def test_certain_members_do_not_overflow() -> None:
    sure = np.array([1e4, -1e4], dtype=np.float32)
    assert combined_probs(Ensemble(members=2), [sure, sure]).tolist() == [1.0, 0.0]


def steps_at(halt: float, steps: int) -> int:
    """The step on which a training of so many steps halts, by the rule of `trainers.training.loop.fit`."""
    return max(1, int(np.ceil(halt * steps)))


def test_rungs_by_hand() -> None:
    # 30 steps, 20 and 10: rungs at 1/9, 1/3, 2/3 and 1 of 30 fall on steps 4, 10, 20 and 30.
    first, second = due_rungs([20, 10], (1 / 9, 1 / 3, 2 / 3, 1))
    assert [(steps_at(share, 20), due) for share, due in first.items()] == [
        (4, [1 / 9]),
        (10, [1 / 3]),
        (20, [2 / 3]),
    ]
    assert second == {1.0: [1]}
    assert list(first)[-1] == 1.0


def test_rungs_of_a_method_that_stops_early() -> None:
    # Half of 30 steps: rungs at 1/3 and 1 of these fall on steps 5 and 15.
    first, second = due_rungs([20, 10], (1 / 3, 1), stop=0.5)
    assert [(steps_at(share, 20), due) for share, due in first.items() if due] == [(5, [1 / 3]), (15, [1])]
    assert second == {1.0: []}


def test_a_stage_without_a_rung_halts_at_its_end() -> None:
    assert due_rungs([5, 5, 5], (1.0,)) == [{1.0: []}, {1.0: []}, {1.0: [1.0]}]


def test_more_rungs_than_steps() -> None:
    assert due_rungs([1], (1 / 9, 1 / 3, 1.0)) == [{1.0: [1 / 9, 1 / 3, 1.0]}]


@given(
    steps=st.lists(st.integers(1, 300), min_size=1, max_size=8),
    rungs=st.lists(st.floats(0.001, 0.999), max_size=6, unique=True).map(lambda xs: (*sorted(xs), 1.0)),
)
def test_every_rung_is_due_once_at_its_share_of_all_steps(steps: list[int], rungs: tuple[float, ...]) -> None:
    found = due_rungs(steps, rungs)
    assert [rung for stage in found for due in stage.values() for rung in due] == list(rungs)
    done = 0
    for own, stage in zip(steps, found, strict=True):
        assert list(stage) == sorted(stage)
        assert list(stage)[-1] == 1.0
        # Shares of one stage fall on different steps, so that a training halts at each of them.
        assert len({steps_at(share, own) for share in stage}) == len(stage)
        for share, due in stage.items():
            for rung in due:
                assert abs(done + steps_at(share, own) - rung * sum(steps)) < 1 + 1e-6
        done += own


def test_the_registry_has_every_component() -> None:
    assert {config.model_fields["kind"].default for config in STAGES} == {
        "once",
        "self_train",
        "chain",
        "ensemble",
    }
