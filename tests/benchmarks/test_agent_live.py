import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.agent_live import main, summary
from tests.servers.messages_api import Body, Scripted, ScriptedClaude, text
from tests.small_runs.settings import ONE_CPU, SMALL_TASK

KEY = "sk-ant-of-this-test"
SMALL = [
    *SMALL_TASK,
    "trial={cpus: 1, concurrent: 1}",
    "search.trials=3",
    "search.round_trials=3",
    "replication={methods: 1, seeds: 1}",
    "confirm={finalists: 1, seeds: 2}",
    "tracking.kind=off",
]
BRANCH = {
    "name": "doubt",
    "family": "loss",
    "hypothesis": "It may help.",
    "parent": None,
    "slots": [
        {
            "slot": "loss",
            "options": [
                {
                    "component": "logconf",
                    "params": [{"kind": "range", "name": "aux", "low": 0.2, "high": 0.8, "log": False}],
                }
            ],
        }
    ],
}


def proposed(body: Body) -> Scripted:
    return text(json.dumps({"branches": [BRANCH], "rationale": "because"}))


def pair(claude: float, playbook: float, usd: float, not_the_agents: str = "") -> dict[str, Any]:
    return {
        "claude": {"pgr": claude, "usd": usd, "not_the_agents": not_the_agents},
        "playbook": {"pgr": playbook},
    }


def test_a_gain_is_paired_by_seed_and_a_point_of_it_has_its_price() -> None:
    found = summary([pair(0.5, 0.3, 1.0), pair(0.4, 0.3, 2.0, "declined"), pair(0.3, 0.3, 0.6)])
    assert found["gain"] == pytest.approx(0.1)
    assert (found["higher_in"], found["by_agent"], found["seeds"]) == (2, 2, 3)
    # gains .2, .1, 0: standard error .1/√3, t = √3 with 2 degrees of freedom
    assert found["gain_p"] == pytest.approx(0.1127, abs=1e-4)
    assert found["usd_a_point"] == pytest.approx(3.6 / 30)
    assert summary([pair(0.3, 0.4, 1.0)])["usd_a_point"] is None


def test_mistakes_are_said_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    asked = ["configs/dev.yaml", "--max-usd", "5", "--out", str(tmp_path / "runs")]
    assert main(asked) == 2
    assert "pass --minutes" in capsys.readouterr().err
    assert main([*asked, "--minutes", "3"]) == 2
    assert "set ANTHROPIC_API_KEY" in capsys.readouterr().err
    assert main([*asked, "--minutes", "3", "--seeds", "0"]) == 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_pairs_of_campaigns_are_run_and_paid_for_once(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv(*ONE_CPU)
    script = ScriptedClaude(answer=proposed, key=KEY)
    with script.serving():
        settings = [
            *SMALL,
            f"cache={warm}",
            f"agent={{kind: claude, lanes: 1, base_url: '{script.url}'}}",
        ]
        asked = ["configs/dev.yaml", "--max-usd", "0.5", "--minutes", "5", "--seeds", "1"]
        asked += ["--out", str(tmp_path / "runs"), *(part for one in settings for part in ("--set", one))]
        assert main(asked) == 0
        first = json.loads(capfd.readouterr().out)
        requests = len(script.asked)
        assert requests > 0
        assert main(asked) == 0
        assert (len(script.asked), json.loads(capfd.readouterr().out)) == (requests, first)
        assert main([*asked, "--set", "search.trials=4"]) == 2
        assert "campaigns of other settings" in capfd.readouterr().err
    [only] = first["pairs"]
    assert only["claude"]["usd"] > 0
    assert (only["playbook"]["usd"], only["claude"]["not_the_agents"]) == (0, "")
    assert only["playbook"]["trials"] >= 3
    assert first["summary"]["by_agent"] == 1
