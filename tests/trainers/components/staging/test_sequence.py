from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.components.stages import Chain, Once, SelfTrain
from trainers.components.staging.members import Ensemble, Single
from trainers.components.staging.refine import Evolve, NoRefine
from trainers.components.staging.relabel import NoRelabel, OutOfFold, Posterior
from trainers.components.staging.sequence import due_rungs, place_of, sequence, total_length
from trainers.components.staging.stage import Stage


def stages(
    own: Any = Once(),  # noqa: B008
    relabel: Any = NoRelabel(),  # noqa: B008
    refine: Any = NoRefine(),  # noqa: B008
    members: Any = Single(),  # noqa: B008
    models: int = 0,
) -> tuple[Stage, ...]:
    return sequence(own, relabel, refine, members, models)


def shown(found: tuple[Stage, ...]) -> list[str]:
    """A stage in a word: its teacher, its fold, and what is special."""
    words = []
    for stage in found:
        word = "evolve" if stage.evolves else stage.teacher
        word += f" {stage.fold.held_out}/{stage.fold.of}" if stage.fold else ""
        word += f" by {stage.learner}" if stage.learner is not None else ""
        words.append(word + (" on" if stage.continues else "") + ("!" if stage.answers else ""))
    return words


def test_the_plain_method_is_one_training() -> None:
    assert stages() == (Stage(),)


def test_each_part_has_its_place() -> None:
    assert shown(stages(SelfTrain(rounds=2, fresh=False), Posterior(rounds=2), Evolve())) == [
        "weak",
        "relabelled",
        "relabelled",
        "self on",
        "self on",
        "evolve on!",
    ]


def test_folds_come_before_the_whole() -> None:
    assert shown(stages(relabel=OutOfFold(rounds=2, folds=2))) == [
        "weak 0/2",
        "weak 1/2",
        "relabelled 0/2",
        "relabelled 1/2",
        "relabelled!",
    ]
    assert total_length(stages(relabel=OutOfFold(rounds=2, folds=2))) == 3
    assert total_length(stages(relabel=Posterior(rounds=1, folds=4))) == 4


def test_the_student_of_a_chain_is_relabelled_not_the_models_before_it() -> None:
    assert shown(stages(Chain(), OutOfFold(), models=1)) == [
        "weak by 0",
        "previous 0/2",
        "previous 1/2",
        "relabelled!",
    ]


def test_every_member_goes_through_it_all() -> None:
    found = stages(SelfTrain(), refine=Evolve(), members=Ensemble(count=3))
    assert [stage.member for stage in found] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert shown(found) == ["weak", "self", "evolve on!"] * 3


def test_the_end_of_a_stage_is_its_own() -> None:
    found = stages(relabel=OutOfFold(folds=4))  # lengths .75 four times, then 1
    assert place_of(found, 0.375) == (0, 0.5)
    assert place_of(found, 0.75) == (0, 1.0)
    assert place_of(found, 3.5) == (4, 0.5)
    assert place_of(found, 9) == (4, 1.0)


def steps_at(halt: float, steps: int) -> int:
    """The step on which a training of so many steps halts, by the rule of `trainers.training.loop.fit`."""
    return max(1, int(np.ceil(halt * steps)))


def test_rungs_by_hand() -> None:
    # Each of two stages is half of the method: rungs at 1/9, 1/3, 2/3 and 1 fall at 2/9 and 2/3 of the first,
    # steps 5 and 14 of 20, and at 1/3 and the end of the second, steps 4 and 10 of 10.
    first, second = due_rungs(stages(SelfTrain()), [20, 10], (1 / 9, 1 / 3, 2 / 3, 1))
    assert [(steps_at(share, 20), due) for share, due in first.items()] == [
        (5, [1 / 9]),
        (14, [1 / 3]),
        (20, []),
    ]
    assert [(steps_at(share, 10), due) for share, due in second.items()] == [(4, [2 / 3]), (10, [1])]


def test_rungs_of_a_method_that_stops_early() -> None:
    # Half of two stages is the first: rungs at 1/3 and 1 of it.
    first, second = due_rungs(stages(SelfTrain()), [20, 10], (1 / 3, 1), stop=0.5)
    assert [(steps_at(share, 20), due) for share, due in first.items() if due] == [(7, [1 / 3]), (20, [1])]
    assert second == {1.0: []}


def test_a_stage_without_a_rung_halts_at_its_end() -> None:
    assert due_rungs(stages(SelfTrain(rounds=2)), [5, 5, 5], (1.0,)) == [{1.0: []}, {1.0: []}, {1.0: [1.0]}]


def test_more_rungs_than_steps() -> None:
    assert due_rungs(stages(), [1], (1 / 9, 1 / 3, 1.0)) == [{1.0: [1 / 9, 1 / 3, 1.0]}]


@given(
    steps=st.lists(st.integers(1, 300), min_size=6, max_size=6),
    rungs=st.lists(st.floats(0.001, 0.999), max_size=6, unique=True).map(lambda xs: (*sorted(xs), 1.0)),
)
def test_every_rung_is_due_once_at_its_share_of_the_sequence(
    steps: list[int], rungs: tuple[float, ...]
) -> None:
    whole = stages(SelfTrain(), OutOfFold(folds=3), Evolve())
    found = due_rungs(whole, steps, rungs)
    assert [rung for stage in found for due in stage.values() for rung in due] == list(rungs)
    done = 0.0
    for own, stage, halts in zip(steps, whole, found, strict=True):
        assert list(halts) == sorted(halts)
        assert list(halts)[-1] == 1.0
        # Shares of one stage fall on different steps, so that a training halts at each of them.
        assert len({steps_at(share, own) for share in halts}) == len(halts)
        for share, due in halts.items():
            for rung in due:
                reached = done + steps_at(share, own) / own * stage.length
                assert -1e-6 < reached - rung * total_length(whole) < stage.length / own + 1e-6
        done += stage.length


@pytest.mark.parametrize("count", [1, 4])
def test_lengths_add_up(count: int) -> None:
    members: Any = Single() if count == 1 else Ensemble(count=count)
    assert total_length(stages(Chain(length=2), Posterior(), Evolve(), members, models=2)) == 6 * count
