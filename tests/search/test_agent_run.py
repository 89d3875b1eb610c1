"""Claude as the proposer of a whole run, over the real SDK, from a server on loopback; and its replay."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.claude.transcript import Concluded, read_transcript
from search.__main__ import main
from search.config.load import load_config
from search.ledger.log import read_ledger
from search.ledger.record import Record
from tests.servers.messages_api import Scripted, ScriptedClaude, refusal, text, use
from tests.small_runs.settings import ONE_CPU, SMALL_TASK
from trainers.data.dataset import load_task

KEY = "sk-ant-of-this-test"
SMALL = [
    *SMALL_TASK,
    "search.trials=12",  # workers do not wait for a slow answer: there must be work left when it comes
    "search.round_trials=6",
    "search.pruning.rungs=[0.5, 1.0]",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
    "trial={cpus: 1, concurrent: 1}",
    "tracking.kind=off",
]
OPTIM = {
    "slot": "optim",
    "options": [
        {
            "component": "adamw",
            "params": [
                {"kind": "range", "name": "lr", "low": 0.001, "high": 0.004, "log": True},
                {"kind": "fixed", "name": "epochs", "value": 4},
            ],
        }
    ],
}


def spoken(name: str, component: str, param: str, parent: str | None = None) -> dict[str, Any]:
    """A branch as the model writes it: a loss with one of its parameters between 0.2 and 0.8."""
    loss = {
        "component": component,
        "params": [{"kind": "range", "name": param, "low": 0.2, "high": 0.8, "log": False}],
    }
    slots = [{"slot": "loss", "options": [loss]}, OPTIM]
    return {"name": name, "family": "loss", "hypothesis": "It may.", "parent": parent, "slots": slots}


def scripted(body: dict[str, Any]) -> Scripted:
    """Two losses first; then, from whichever did best, a child that also softens the labels."""
    opening = "".join(block["text"] for block in body["messages"][0]["content"])
    if "Propose the branches of round 1." in opening:
        both = [spoken("confident", "logconf", "aux"), spoken("robust", "gce", "q")]
        return text(json.dumps({"branches": both, "rationale": "Two ways to doubt a label."}))
    if len(body["messages"]) == 1:
        return use("note", {"text": "doubt helps"})
    best = re.search(r"^Best methods.*\n  \S+ .* (confident|robust): ", opening, re.MULTILINE)
    name = best.group(1) if best else "none"
    kind, param = {"confident": ("logconf", "aux"), "robust": ("gce", "q")}[name]
    child = spoken(f"{name}-soft", kind, param, parent=name)
    child["slots"].append({"slot": "labels", "options": [{"component": "soft", "params": []}]})
    return text(json.dumps({"branches": [child], "rationale": f"{name} did best."}))


@pytest.fixture
def claude(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedClaude]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    script = ScriptedClaude(answer=scripted, key=KEY)
    with script.serving():
        yield script


def asking(claude: ScriptedClaude) -> tuple[str, ...]:
    """Settings for one lane of a scripted model."""
    return "agent.kind=claude", "agent.lanes=1", f"agent.base_url={claude.url}"


def settings(*more: str) -> list[str]:
    return ["configs/dev.yaml", *(part for one in more for part in ("--set", one))]


def run(out: Path, cache: Path, *more: str) -> None:
    assert main(["run", "--out", str(out), *settings(*SMALL, f"cache={cache}", *more)]) == 0


def proposals(out: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(out.glob("rounds/*/proposal.json"))]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_campaign_whose_second_round_depends_on_the_findings_of_the_first_and_its_replay(
    claude: ScriptedClaude,
    warm: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(*ONE_CPU)
    out = tmp_path / "run"
    run(out, warm, *asking(claude), "agent.suggestions=0")  # else it is also asked for single methods
    said = capsys.readouterr().out
    record = Record.of(read_ledger(out / "ledger.jsonl"))
    first, second = proposals(out)
    assert [branch["name"] for branch in first["branches"]] == ["confident", "robust"]
    opening = claude.asked[1]["messages"][0]["content"][-1]["text"]
    best = re.search(r"^  (t\d+) ", opening[opening.index("Best methods") :], re.MULTILINE)
    assert best is not None
    assert second["branches"][0]["parent"] == record.trials[best.group(1)].branch
    assert "agreement with its supervisor" in opening
    assert {trial.branch for trial in record.of_purpose("search")} >= {second["branches"][0]["name"]}

    result = json.loads((out / "result.json").read_text())
    spent = [
        entry.usage
        for path in out.glob("rounds/*/transcript-1.jsonl")
        for entry in read_transcript(path)
        if entry.entry == "received"
    ]
    assert result["cost"]["usd"] == pytest.approx(sum(usage.usd for usage in spent))
    assert result["cost"]["usd"] == record.bill.usd
    assert result["cost"]["unanswered_usd"] == 0
    events = read_ledger(out / "ledger.jsonl")
    reserved = [event.request for event in events if event.event == "request_reserved"]
    assert reserved == [event.request for event in events if event.event == "request_settled"] == [1, 2, 3]
    assert result["cost"]["output_tokens"] == 100 * len(claude.asked) == 300
    assert [(row["round"], row["source"]) for row in result["agent"]["lanes"]] == [
        (1, "claude"),
        (2, "claude"),
    ]
    assert [note.text for note in record.notes] == ["doubt helps"]
    assert "agent: 0.0" in said
    files = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in files)

    again = tmp_path / "again"
    run(again, warm, "agent.kind=replay", f"agent.path={out}")
    assert proposals(again) == proposals(out)
    assert len(claude.asked) == 3
    assert json.loads((again / "result.json").read_text())["cost"]["usd"] == 0
    concluded = read_transcript(out / "rounds" / "002" / "transcript-1.jsonl")[-1]
    assert isinstance(concluded, Concluded)


def test_propose_prints_the_proposal_and_its_cost_and_trains_nothing(
    claude: ScriptedClaude, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["propose", *settings(*asking(claude), f"cache={tmp_path}")])
    said = capsys.readouterr().out
    assert code == 0
    assert "confident" in said
    assert "loss: gce(q 0.2 to 0.8)" in said
    assert "dollars" in said
    usage = claude.usage(claude.asked[0])
    tokens = sum(count for name, count in usage.items() if name.endswith("input_tokens"))
    assert f"{tokens:,}" in said
    assert list(tmp_path.iterdir()) == []
    assert "<samples>" not in json.dumps(claude.asked)


def test_propose_says_which_models_declined_and_that_the_playbook_proposes(
    claude: ScriptedClaude, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claude.answer = lambda body: refusal("frontier_llm", "It looks like competing models.")
    more = (
        "agent.kind=claude",
        f"agent.base_url={claude.url}",
        "agent.lanes=1",
        "agent.other_model=claude-haiku-5-5",
    )
    assert main(["propose", *settings(*more, f"cache={tmp_path}")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert [body["model"] for body in claude.asked] == ["claude-opus-5-5"] * 2 + ["claude-haiku-5-5"]
    for model in ("claude-opus-5-5", "claude-haiku-5-5"):
        assert f"lane 1: {model} refused to answer (frontier_llm): It looks like competing models." in said
    assert "lane playbook: every model declined" in said


def test_samples_are_of_the_transfer_split_and_in_the_cached_prefix(claude: ScriptedClaude) -> None:
    assert main(["propose", *settings(*asking(claude), "agent.samples=3")]) == 0
    [block] = claude.asked[0]["system"]
    assert "cache_control" in block
    shown = block["text"].partition("\n<samples>\n")[2].partition("\n</samples>")[0].splitlines()
    inputs = load_task(load_config(Path("configs/dev.yaml")).task).inputs
    texts = [json.loads(line) for line in shown]
    assert texts == list(inputs["transfer"].texts[:3])
    sealed = {text for split in ("search", "test") for text in inputs[split].texts}
    assert not any(text in json.dumps(claude.asked) for text in sealed)


def test_an_invalid_key_ends_a_run_with_exit_code_2_before_anything_is_trained(
    claude: ScriptedClaude, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claude.key = "another"
    out = tmp_path / "run"
    more = settings(*asking(claude), f"cache={tmp_path / 'cache'}")
    assert main(["run", "--out", str(out), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the API does not accept the key in ANTHROPIC_API_KEY (401)")
    assert error.count("\n") == 1
    assert not (tmp_path / "cache").exists()
    assert not (out / "ledger.jsonl").exists()
    assert KEY not in error
