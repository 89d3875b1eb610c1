"""Whole campaigns on made-up trials."""

import json
from pathlib import Path

import pytest

from agents.findings.findings import Findings
from benchmarks.agent.colleagues.__main__ import main, shown, summary
from benchmarks.agent.colleagues.campaigns import PARTS, Arm, Outcome, campaign, suggesting
from benchmarks.agent.colleagues.critics import Careless, Criticised
from benchmarks.agent.colleagues.lanes import Lanes
from benchmarks.table.data import Table, save
from benchmarks.table.world import World


def test_gains_are_paired_by_campaign() -> None:
    def outcome(pgr: float, named: int) -> Outcome:
        return Outcome(pgr=pgr, regret=0.1, named=named, draws=10)

    arms = {"alone": Arm(make=lambda w, s: None), "x": Arm(make=lambda w, s: None, against="alone")}  # type: ignore[arg-type, return-value]
    rows = summary(
        arms, {"alone": [outcome(0.1, 0), outcome(0.5, 0)], "x": [outcome(0.3, 3), outcome(0.7, 1)]}
    )
    assert rows["x"]["gain"] == pytest.approx(0.2)
    assert rows["x"]["gain_se"] == 0  # each pair differs by the same
    assert rows["x"]["named"] == 0.2
    assert "gain" not in rows["alone"]
    assert "+0.200 ± 0.000" in shown(rows)


def test_a_share_of_the_draws_is_named_and_no_more(world: World) -> None:
    arm = suggesting()["oracle 0.3"]
    found = campaign(world, 1, 12, arm)
    assert 0 < found.named <= 0.3 * found.draws
    assert campaign(world, 1, 12, suggesting()["alone"]).named == 0


@pytest.mark.parametrize(("place", "wrong"), [("--parts", "luck"), ("--budget", "0"), ("--campaigns", "0")])
def test_a_mistake_is_one_line(
    place: str, wrong: str, table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "t.npz", table)
    assert main([str(tmp_path / "t.npz"), place, wrong]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_all_parts_run_and_print_json(
    table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {
        "suggestions": {"alone", "hostile 0.8"},
        "lanes": {"lanes 1", "lanes 3"},
        "critic": {"careless", "critic 0.9"},
    }
    for part, names in few.items():
        arms = {name: arm for name, arm in PARTS[part]().items() if name in names}
        monkeypatch.setitem(PARTS, part, lambda arms=arms: arms)
    monkeypatch.setattr("benchmarks.agent.colleagues.__main__.QUICK_CAMPAIGNS", 1)
    save(tmp_path / "t.npz", table)
    assert main([str(tmp_path / "t.npz"), "--quick", "--json", "--budget", "6", "--processes", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["campaigns"] == 1
    assert set(found["arms"]) == set.union(*few.values())


def test_lanes_propose_more_than_one_and_a_critic_leaves_less(world: World, findings: Findings) -> None:
    one, three = (Lanes(world, 1, lanes).propose(findings) for lanes in (1, 3))
    assert len(one.branches) <= 4 < len(three.branches)
    careless = Careless(world, 1).propose(findings)
    left = [
        Criticised(Careless(world, 1), world, accuracy, 1).propose(findings).branches
        for accuracy in (0.0, 1.0)
    ]
    assert sum(len(branches) for branches in left) in (len(careless.branches), len(careless.branches) + 1)
    assert set(left[1]) < set(careless.branches)
