"""A whole run that a person steers, and extends when it has finished: real processes, real Ray."""

import json
from pathlib import Path

import pytest

from search.__main__ import main
from search.ledger.log import read_ledger
from search.ledger.record import Record
from tests.small_runs.settings import ONE_CPU
from tests.small_runs.site import Site, meanwhile
from tests.small_runs.whole import problems


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_is_finished_early_and_extended(
    warm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*ONE_CPU)
    settings = ["search.trials=60", "search.round_trials=30", "search.effort=1.0"]
    short = ["confirm={finalists: 1, seeds: 2}", "trial.concurrent=1", "tracking.kind=off"]
    site = Site(tmp_path / "run", warm, [*settings, *short])
    steered: list[int] = []
    with meanwhile(
        lambda: site.count("rung_reached") >= 3,
        lambda: steered.append(main(["steer", str(site.out), "--finish"])),
    ):
        assert main(site.words()) == 0
    assert steered == [0]
    assert "steered: the search ends, the confirmation begins" in capsys.readouterr().out
    first = json.loads((site.out / "result.json").read_text())
    assert first["phases"]["search"]["started"] < 60
    assert first["phases"]["replication"]["started"] == 0
    assert problems(site.out) == []

    trials = first["phases"]["search"]["started"] + 4
    assert main(["resume", str(site.out), "--set", f"search.trials={trials}"]) == 0
    result = json.loads((site.out / "result.json").read_text())
    assert json.loads((site.out / "result-1.json").read_text()) == first
    assert result["phases"]["search"]["started"] == trials
    assert result["test_openings"] == 2
    assert "the run was extended (search.trials)" in capsys.readouterr().out.replace("\n", " ")
    assert problems(site.out) == []
    assert not Record.of(read_ledger(site.ledger)).unfinished()
