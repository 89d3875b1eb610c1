from collections.abc import Callable

import numpy as np
import pytest

from agents.claude.tools import MAX_CHARS, TOOLS, ToolContext, declarations, run_tool
from agents.findings.findings import BranchFinding, Findings, TaskFinding, TrialFinding
from agents.findings.notebook import MAX_NOTES, Notebook
from agents.language.proposal import Branch


def packed(*bits: int) -> str:
    return np.packbits(np.array(bits, dtype=bool)).tobytes().hex()


@pytest.fixture
def context(
    campaign: Callable[..., Findings], branch: Callable[..., Branch], tried: Callable[..., TrialFinding]
) -> ToolContext:
    """Branch a with two completed trials, b with one, c with none; ten search examples, a gap of 0.3."""
    branches = [
        BranchFinding(branch=branch("a"), round=1, live=True, importance=(("loss.logconf.aux", 1.0),)),
        BranchFinding(branch=branch("b", 0.5), round=1, live=False),
        BranchFinding(branch=branch("c", 0.7), round=2, live=True),
    ]
    trials = (
        tried("t1", 0.5, predictions=packed(1, 1, 1, 0, 0, 0, 1, 0, 1, 0)),
        tried("t2", 0.7, aux=0.6, predictions=packed(1, 1, 0, 0, 0, 0, 1, 0, 1, 0)),
        tried("t3", 0.2, branch="b", aux=0.7, predictions=packed(0, 1, 0, 0, 0, 0, 1, 1, 1, 0)),
        tried("t4", None, branch="b", aux=0.8),
    )
    findings = campaign(branches=branches, trials=trials, examples=10)
    return ToolContext(findings=findings, notebook=Notebook((), 3), lane="1")


def listing(**changes: object) -> dict[str, object]:
    return {
        "branch": None,
        "state": None,
        "component": None,
        "min_pgr": None,
        "order": "best",
        "limit": 10,
    } | changes


@pytest.mark.parametrize(
    ("filters", "trials"),
    [
        ({}, ["t2", "t1", "t3", "t4"]),
        ({"order": "newest"}, ["t4", "t3", "t2", "t1"]),
        ({"branch": "b"}, ["t3", "t4"]),
        ({"state": "failed"}, ["t4"]),
        ({"min_pgr": 0.5}, ["t2", "t1"]),
        ({"component": "logconf", "limit": 1}, ["t2", "..."]),
        ({"limit": -3}, ["t2", "..."]),
        ({"component": "gce"}, ["no"]),
    ],
)
def test_trials_are_listed_through_a_filter(
    context: ToolContext, filters: dict[str, object], trials: list[str]
) -> None:
    said, wrong = run_tool(context, "list_trials", listing(**filters))
    assert not wrong
    assert [line.split()[0] for line in said.splitlines()] == trials


def test_a_trial_in_full_but_for_its_predictions(context: ToolContext) -> None:
    said, wrong = run_tool(context, "show_trial", {"trial": "t2"})
    assert not wrong
    assert '"aux": 0.6' in said
    assert "predictions" not in said
    assert packed(1, 1, 0, 0, 0, 0, 1, 0, 1, 0) not in said


def test_two_branches_are_compared_with_a_paired_error(context: ToolContext) -> None:
    """t1 and t2 differ from t3 on 3 and 2 of 10 examples, and from each other on 1.

    Mean disagreement across 0.25, half of that within the first side 0.5 * (2 * 0.1 / 4) = 0.025; the
    difference 0.4 PGR is 0.12 of accuracy. So (0.25 - 0.025 - 0.0144) / 9 is the error's square in accuracy.
    """
    said, wrong = run_tool(context, "compare_branches", {"first": "a", "second": "b"})
    assert not wrong
    expected = (0.2106 / 9) ** 0.5 / 0.3
    assert f"difference +0.400 ± {expected:.3f}" in said
    assert "a: mean PGR 0.600 of its best 2 trials" in said
    assert "the same on 0.75 of the examples" in said


def test_over_several_tasks_two_branches_are_compared_without_an_error(context: ToolContext) -> None:
    floors = TaskFinding(name="near", weak_acc=0.6, ceiling_acc=0.9)
    found = context.findings.model_copy(update={"tasks": (floors, floors)})
    over_tasks = ToolContext(findings=found, notebook=context.notebook, lane="1")
    said, _ = run_tool(over_tasks, "compare_branches", {"first": "a", "second": "b"})
    assert said.endswith("difference +0.400; over several tasks no error of it is told")


def test_curves_branches_and_importance(context: ToolContext) -> None:
    said, _ = run_tool(context, "show_curves", {"branch": "a"})
    assert said.splitlines()[0] == (
        "t2 a (completed): 0.33: 0.60, 1.00: 0.70 (still rising by +0.10 in its last step)"
    )
    said, _ = run_tool(context, "show_branch", {"branch": "a"})
    assert "loss: logconf(aux 0.2 to 1)" in said
    assert "importance: a: loss.logconf.aux 1.00" in said
    assert run_tool(context, "show_curves", {"branch": "c"}) == ("no trial of it has reached a rung", False)


def test_a_note_reaches_the_other_lanes_and_the_next_round(context: ToolContext) -> None:
    assert run_tool(context, "note", {"text": "soft labels\nhelp"}) == ("noted", False)
    other = ToolContext(findings=context.findings, notebook=context.notebook, lane="2")
    assert run_tool(other, "read_notes", {"round": None})[0] == "round 3, lane 1: soft labels help"
    assert [note.text for note in context.notebook.new] == ["soft labels help"]
    assert run_tool(other, "read_notes", {"round": 1}) == ("no note", False)
    for _ in range(MAX_NOTES - 1):
        run_tool(context, "note", {"text": "again"})
    said, wrong = run_tool(context, "note", {"text": "once more"})
    assert (said, wrong) == (f"a lane leaves at most {MAX_NOTES} notes a round", True)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("rm", {}, "there is no tool 'rm'; there are list_trials"),
        ("show_trial", {}, "trial: Field required"),
        ("show_trial", [1], "show_trial: "),
        ("show_trial", None, "show_trial: "),
        ("show_trial", {"trial": "../../etc"}, "there is no trial '../../etc'"),
        ("show_trial", {"trial": "t1", "more": 1}, "more: Extra inputs"),
        ("list_trials", {"limit": "x" * 10**6}, "branch: Field required"),
        ("list_trials", listing(min_pgr=float("nan")), "min_pgr: Input should be a finite number"),
        ("compare_branches", {"first": "a", "second": "c"}, "the branch c has no trial with a score"),
        ("compare_branches", {"first": "a", "second": "z"}, "there is no branch 'z'"),
        ("note", {"text": " \n"}, "a note needs a text"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(
    context: ToolContext, name: str, given: object, said: str
) -> None:
    text, wrong = run_tool(context, name, given)
    assert wrong
    assert text.startswith(said)
    assert len(text) <= 400


def test_no_answer_is_longer_than_its_bound(
    campaign: Callable[..., Findings], tried: Callable[..., TrialFinding]
) -> None:
    trials = tuple(tried(f"t{i}", 0.5, cause="why " * 300) for i in range(200))
    context = ToolContext(findings=campaign(trials=trials), notebook=Notebook((), 1), lane="1")
    said, _ = run_tool(context, "list_trials", listing(limit=10**9))
    assert len(said) <= MAX_CHARS + 30


def test_schemas_are_strict() -> None:
    assert [one["name"] for one in declarations()] == list(TOOLS)
    for one in declarations():
        schema = one["input_schema"]
        assert one["strict"] is True
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        assert "maximum" not in str(schema)
