import numpy as np
import pytest

from agents.findings.predictions import pack, unpack
from search.scoring.grader import BaselinePredictions, Grader
from search.scoring.objective import Objective, aggregate
from search.scoring.several_tasks import SeveralTasks, TaskScale, joined, split

SIZES = {"reviews": 60, "quarrels": 101}  # neither is a number of whole bytes
WEAK, GAP = {"reviews": 0.5, "quarrels": 0.6}, {"reviews": 0.4, "quarrels": 0.2}


def right_on(n: int, share: float) -> np.ndarray:
    return np.arange(n) < round(n * share)


def scale(name: str) -> TaskScale:
    n = SIZES[name]
    truth = np.ones(n, dtype=np.int8)
    floors = [right_on(n, share)[None] for share in (WEAK[name], WEAK[name] + GAP[name])]
    split = truth, BaselinePredictions(weak=floors[0], ceiling=floors[1])
    weak, ceiling = (float(rows.mean()) for rows in floors)
    return TaskScale(grader=Grader(split, split), examples=n, test=n + 3, weak_acc=weak, gap=ceiling - weak)


SCALES = {name: scale(name) for name in SIZES}
PREDICTED = {"reviews": pack(right_on(60, 0.7)), "quarrels": pack(right_on(101, 0.75))}


def several(objective: Objective = "mean") -> SeveralTasks:
    return SeveralTasks(SCALES, objective)


def test_predictions_of_tasks_stand_one_after_another() -> None:
    parts = [pack(np.arange(n) % 3 == 0) for n in (5, 8, 11)]
    together = joined(parts, [5, 8, 11])
    assert unpack(together, 24).tolist() == [i % 3 == 0 for n in (5, 8, 11) for i in range(n)]
    assert split(together, [5, 8, 11]) == parts


def test_predictions_of_a_split_have_its_sizes() -> None:
    whole = several().joined(PREDICTED, "search")
    assert split(whole, [60, 101]) == list(PREDICTED.values())
    tests = {name: pack(np.ones(n + 3, dtype=bool)) for name, n in SIZES.items()}
    assert unpack(several().joined(tests, "test"), 60 + 101 + 6).all()


@pytest.mark.parametrize("objective", ["mean", "geometric", "worst"])
def test_the_score_is_the_objective_of_the_pgrs_on_each_task(objective: Objective) -> None:
    tasks = several(objective)
    apart = [tasks.grade_on(name, predicted) for name, predicted in PREDICTED.items()]
    assert [score.pgr for score in apart] == pytest.approx([0.5, 0.75], abs=0.05)
    together = tasks.grade(tasks.joined(PREDICTED, "search"))
    assert together.pgr == pytest.approx(aggregate([score.pgr for score in apart], objective))
    assert together.accuracy == pytest.approx((apart[0].accuracy + apart[1].accuracy) / 2)


def test_pooled_tasks_are_graded_as_one_with_one_gap() -> None:
    """Every task's accuracy counts alike, and so does its error."""
    tasks = several("pooled")
    apart = [tasks.grade_on(name, predicted) for name, predicted in PREDICTED.items()]
    together = tasks.grade(tasks.joined(PREDICTED, "search"))
    gains = [score.accuracy - SCALES[name].weak_acc for name, score in zip(SCALES, apart, strict=True)]
    gaps = [one.gap for one in SCALES.values()]
    assert together.pgr == pytest.approx(sum(gains) / sum(gaps))
    errors = [score.se * gap for score, gap in zip(apart, gaps, strict=True)]
    assert together.se == pytest.approx(np.hypot(*errors) / sum(gaps))


def test_the_error_of_a_mean_is_that_of_independent_tasks() -> None:
    tasks = several()
    first, second = (tasks.grade_on(name, predicted).se for name, predicted in PREDICTED.items())
    expected = np.hypot(first, second) / 2
    assert tasks.grade(tasks.joined(PREDICTED, "search")).se == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["mean", "geometric", "worst", "pooled"])
def test_the_mean_of_the_evidence_is_the_score(objective: Objective) -> None:
    tasks = several(objective)
    score = tasks.grade(tasks.joined(PREDICTED, "search"))
    evidence = tasks.evidence(score.correct)
    assert evidence.shape == (161,)
    assert evidence.mean() == pytest.approx(score.pgr)


def test_the_evidence_of_two_trials_is_paired_within_each_task() -> None:
    """The variance of the mean difference is that of its tasks: a quarter of the sum, each over its gap."""
    rng = np.random.default_rng(0)
    tasks = several()
    mine, yours = ({name: rng.random(n) < 0.7 for name, n in SIZES.items()} for _ in range(2))
    found = [
        tasks.evidence(joined([pack(one[name]) for name in SIZES], list(SIZES.values())))
        for one in (mine, yours)
    ]
    difference = found[0] - found[1]
    expected = sum(
        ((mine[name].astype(float) - yours[name]) / SCALES[name].gap).var() / n / 4
        for name, n in SIZES.items()
    )
    assert difference.var() / len(difference) == pytest.approx(expected, rel=0.1)
