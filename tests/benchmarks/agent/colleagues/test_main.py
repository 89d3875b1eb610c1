"""Whole campaigns on made-up trials."""

import json
from pathlib import Path

import pytest

from benchmarks.agent.colleagues.__main__ import main, shown, summary
from benchmarks.agent.colleagues.campaigns import PARTS, Arm, Outcome, campaign, suggesting
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


@pytest.mark.parametrize(
    ("place", "wrong"), [("--parts", "luck"), ("--arms", "luck"), ("--budget", "0"), ("--campaigns", "0")]
)
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
        "lanes": {"one lane", "three lanes"},
        "critic": {"careless", "critic 1"},
        "effort": {"one lane", "skilled first"},
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
    assert found["arms"]["critic 1"]["accepted_ahead"]["critic"]["campaigns"] == 1
    assert any(group.endswith(", critic") for group in found["arms"]["critic 1"]["branches"])


def test_chosen_arms_of_all_parts(table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "t.npz", table)
    few = ["--arms", "one lane,alone", "--campaigns", "1", "--budget", "4", "--processes", "1", "--json"]
    assert main([str(tmp_path / "t.npz"), *few]) == 0
    assert set(json.loads(capsys.readouterr().out)["arms"]) == {"one lane", "alone"}


def test_equal_seeds_give_equal_campaigns(world: World) -> None:
    arm = PARTS["lanes"]()["three lanes"]
    assert campaign(world, 2, 6, arm) == campaign(world, 2, 6, arm)
