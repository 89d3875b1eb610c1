import pytest
from pydantic import ValidationError

from agents.findings.findings import BranchFinding, Findings, TrialFinding, TrialState, shown_pgr
from agents.language.proposal import Branch, Option, Slot
from trainers.method import Abilities, Method


def trial(
    name: str,
    pgr: float | None,
    se: float | None = None,
    *,
    branch: str = "a",
    state: TrialState = "completed",
    method: Method | None = None,
) -> TrialFinding:
    return TrialFinding(
        trial=name,
        branch=branch,
        method=method or Method(),
        seed=0,
        state=state,
        pgr=pgr,
        se=se,
        curve=(),
        cause=None,
        train_s=1.0,
    )


def findings(*trials: TrialFinding) -> Findings:
    slots = (Slot(slot="labels", options=(Option(component="soft", params=()),)),)
    branches = tuple(
        Branch(name=name, family="distillation", hypothesis="It helps.", parent=None, slots=slots)
        for name in ("a", "b", "c")
    )
    return Findings(
        abilities=Abilities(prior=True, intermediates=4),
        round=2,
        weak_acc=0.7,
        weak_se=0.01,
        ceiling_acc=0.95,
        ceiling_se=0.005,
        naive=Method(),
        branches=tuple(BranchFinding(branch=b, round=1, live=b.name != "b") for b in branches),
        trials=trials,
        trials_left=12,
    )


def test_a_lucky_trial_ranks_below_one_that_is_well_known() -> None:
    known = findings(trial("lucky", 0.6, 0.3), trial("sure", 0.5, 0.05))
    assert [found.trial for found in known.best_trials()] == ["sure", "lucky"]


def test_a_missing_error_counts_as_the_largest() -> None:
    known = findings(trial("bare", 0.6), trial("sure", 0.5, 0.05), trial("vague", 0.1, 0.3))
    assert known.lower_bound(known.trials[0]) == pytest.approx(0.3)
    assert [found.trial for found in known.best_trials()] == ["sure", "bare", "vague"]
    alone = findings(trial("bare", 0.6))
    assert alone.lower_bound(alone.trials[0]) == 0.6


def test_all_trials_of_the_branch_with_a_score_are_ranked_wherever_they_stopped() -> None:
    known = findings(
        trial("pruned", 0.5, state="pruned"),
        trial("running", 0.3, state="running"),
        trial("failed", None, state="failed"),
        trial("elsewhere", 0.8, branch="b"),
        trial("first", 0.4),
        trial("second", 0.4),
    )
    assert [found.trial for found in known.best_trials("a")] == ["pruned", "first", "second", "running"]
    assert [found.trial for found in known.best_trials(n=1)] == ["elsewhere"]
    assert known.lower_bound(known.trials[2]) == float("-inf")


def test_a_branch_is_as_good_as_its_three_best_trials() -> None:
    spike = [trial(f"a{i}", pgr) for i, pgr in enumerate((0.7, 0.1, 0.1, 0.0))]
    steady = [trial(f"b{i}", 0.4, branch="b") for i in range(3)]
    known = findings(*spike, *steady)
    assert known.branch_score("a") == pytest.approx(0.3)
    assert known.branch_score("b") == pytest.approx(0.4)
    assert known.branch_score("c") == float("-inf")
    assert [branch.name for branch in known.ranked_branches()] == ["b", "a"]


def test_nan_is_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        trial("x", float("nan"))


@pytest.mark.parametrize(
    ("pgr", "se", "text"), [(0.416, 0.031, "0.42 ± 0.03"), (-0.5, None, "-0.50"), (None, None, "no PGR")]
)
def test_a_pgr_is_shown_with_its_error(pgr: float | None, se: float | None, text: str) -> None:
    assert shown_pgr(trial("x", pgr, se)) == text
