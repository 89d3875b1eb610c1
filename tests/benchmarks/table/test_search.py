import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agents.findings.predictions import pack
from benchmarks.table.__main__ import main
from benchmarks.table.campaign import Campaign, Plan, chance, ours, playbook
from benchmarks.table.data import Table, TaskTable, load
from benchmarks.table.judging import METHODS, summary, winners
from benchmarks.table.opponents import OPPONENTS, Heard, best_completed, replicated, searched
from benchmarks.table.pool import RowPool
from benchmarks.table.world import Point, World
from search.engine.confirmation import confirm, planned_confirmation, sealed_predictions
from search.ledger.events import RungReached, TrialEnded, TrialStarted
from search.scoring.grader import Grader

pytestmark = pytest.mark.slow
NAIVE = Point(0, 2)


@pytest.fixture(scope="module")
def table(table_file: Path) -> Table:
    return load(table_file)


@pytest.fixture
def world(table: Table) -> World:
    return World.of(table, "words", campaign=1)


def test_worlds_of_campaigns_differ_and_each_is_the_same_again(table: Table) -> None:
    worlds = [World.of(table, "words", campaign) for campaign in range(8)]
    assert len({(tuple(world.rows), tuple(world.order)) for world in worlds}) == 8
    again = World.of(table, "words", 3)
    assert (again.rows, again.order) == (worlds[3].rows, worlds[3].order)
    assert np.array_equal(again.task.test, worlds[3].task.test)
    for world in worlds:
        assert sorted(world.order) == [0, 1, 2, 3]
        assert 0 in world.rows


def examples(task: TaskTable) -> set[bytes]:
    """What is known of each held-out example: its label and what every method and baseline makes of it."""
    known = set()
    for split, bits in (("search", task.search), ("test", task.test)):
        truth = task.truth[split]
        right = np.unpackbits(bits, axis=-1, count=len(truth)).reshape(-1, len(truth))
        columns = np.concatenate([truth[None], task.weak[split], task.ceiling[split], right])
        known |= {column.astype(np.uint8).tobytes() for column in columns.T}
    return known


def test_each_campaign_has_a_deal_of_its_own_of_the_same_examples(table: Table) -> None:
    task, worlds = table.tasks["words"], [World.of(table, "words", campaign) for campaign in range(4)]
    assert len({world.task.truth["search"].tobytes() for world in worlds}) == 4
    for world in worlds:
        assert {split: len(truth) for split, truth in world.task.truth.items()} == {
            "search": 150,
            "test": 180,
        }
        assert examples(world.task) == examples(task)


def test_the_limit_is_the_best_mean_over_the_search_s_supervisors(world: World) -> None:
    [best, *_] = found = winners("limit", world, 1)
    assert len(set(found)) == 1
    supervisors = list(world.order[: world.supervisors])
    known = ~np.isnan(world.task.search_accuracy[:, supervisors]).any(axis=1)
    points = [Point(row, rung) for row in world.rows for rung in range(3) if known[row, rung]]
    scores = {
        point: np.mean([world.search_pgr(point, one) for one in range(world.supervisors)]) for point in points
    }
    assert scores[best] == max(scores.values())


@pytest.mark.parametrize("make", [playbook, chance])
def test_ours_replays_a_whole_campaign(world: World, tmp_path: Path, make: object) -> None:
    config = Plan().config(world, seed=1, budget=20)
    campaign = Campaign(world, config, make(world, config), tmp_path)  # type: ignore[operator]
    winner = campaign.run(deadline_s=np.inf)
    assert winner is not None
    record = campaign.record
    searching, replicates = list(record.of_purpose("search")), list(record.of_purpose("replicate"))
    assert len({trial.method.plainest.digest for trial in searching}) == len(searching) >= 5
    assert replicates
    assert {trial.seed % 4 for trial in searching} == {0}
    supervisors = {bool(trial.branch): set[int]() for trial in replicates}
    for trial in replicates:
        supervisors[bool(trial.branch)].add(trial.seed % 4)
    # the other supervisor of the search; naive, of no branch, is paired with the leader's first seed too
    assert supervisors == {True: {1}, False: {0, 1}}
    rows = {world.table.rows[row].method.digest: row for row in world.rows}
    assert {trial.method.digest for trial in searching} <= rows.keys()
    for trial in searching:
        for share, rung in trial.rungs.items():
            point = Point(rows[trial.method.digest], config.search.pruning.rungs.index(share))
            seen = world.task.predictions("search", point.row, world.order[0], point.rung)
            assert rung.predictions == pack(seen)
            assert rung.pgr == world.search_pgr(point, 0)
            assert rung.train_s > 0
    again = ours(world, 1, 20, Plan(), make)  # type: ignore[arg-type]
    assert again is not None


def test_the_clock_is_that_of_two_workers(world: World, tmp_path: Path) -> None:
    """Until the deadline no more is trained than two workers can, and with less time less is."""
    trained = []
    for budget in (4, 40):
        config, folder = Plan().config(world, seed=1, budget=budget), tmp_path / str(budget)
        folder.mkdir()
        campaign = Campaign(world, config, playbook(world, config), folder)
        campaign.run(deadline_s=budget * world.unit_s / 2)
        trials = campaign.record.trials.values()
        trained.append(sum(trial.train_s for trial in trials) / world.unit_s)
        assert trained[-1] <= budget
    assert trained[0] < trained[1]


def test_a_winner_is_worth_what_the_confirmation_of_a_run_says(world: World, tmp_path: Path) -> None:
    config = Plan().config(world, seed=1, budget=20)
    campaign = Campaign(world, config, playbook(world, config), tmp_path)
    winner, record = campaign.run(deadline_s=np.inf), campaign.record
    assert winner is not None
    for number, (method, seed) in enumerate(planned_confirmation(config, record)):
        point, name = world.points.get(method.digest, NAIVE), f"c{number}"
        seen = pack(world.task.predictions("test", point.row, world.column(seed, config), point.rung))
        times = {"setup_s": 0.0, "train_s": 0.0, "eval_s": 0.0}
        for event in (
            TrialStarted(trial=name, purpose="confirm", branch="", number=None, method=method, seed=seed),
            RungReached(trial=name, share=1.0, predictions=seen, **times),
            TrialEnded(trial=name, state="completed", cause=None),
        ):
            record.apply(event)
    grades = world.grader.open_test(sealed_predictions(config, record))
    first = confirm(config, record, grades).finalists[0][1]
    assert world.points[first.method.digest] == winner
    assert first.pgr is not None
    assert world.confirmed_pgr(winner) == pytest.approx(first.pgr.value)


@pytest.mark.parametrize("name", OPPONENTS)
def test_opponents_train_rows_once_and_within_the_time(world: World, name: str) -> None:
    pool = RowPool(world)
    deadline = 15 * world.unit_s
    heard = searched(world, OPPONENTS[name].make(pool, 1), pool, deadline)
    assert heard
    assert len({one.point for one in heard}) == len(heard)
    assert all(one.at <= deadline for one in heard)
    assert [one.at for one in heard] == sorted(one.at for one in heard)
    assert {one.point.row for one in heard} <= set(world.rows)
    seconds = sum(float(world.task.seconds[one.point.row, world.order[0], one.point.rung]) for one in heard)
    assert seconds <= 2 * deadline
    if name in ("random", "tpe"):
        assert all(one.last == (one.point.rung == 2) for one in heard)


def at(*scores: tuple[float, int, int, float, bool]) -> Sequence[Heard]:
    return [
        Heard(at=when, point=Point(row, rung), pgr=pgr, last=last) for when, row, rung, pgr, last in scores
    ]


def test_the_best_training_that_ended_in_time_wins(world: World) -> None:
    heard = at((1, 3, 0, 0.9, True), (2, 4, 2, 0.5, True), (3, 5, 2, 0.7, True))
    assert best_completed(world, heard, 1.5) == Point(3, 0)
    assert best_completed(world, heard, 2.5) == Point(4, 2)
    assert best_completed(world, heard, 3.0) == Point(5, 2)
    assert best_completed(world, heard, 0.5) is None


def test_an_expert_stops_in_time_for_further_seeds(world: World) -> None:
    rows = list(world.rows[-4:])
    heard = at(*((i + 1.0, row, 2, 0.1 * i, True) for i, row in enumerate(rows)))
    cost = [float(np.nansum(world.task.seconds[row, world.order[1]])) / 2 for row in rows]
    late = 4.0 + sum(cost[1:]) + 1e-6
    means = {
        row: np.mean([world.search_pgr(Point(row, 2), one) for one in range(world.supervisors)])
        for row in rows
    }
    chosen = replicated(world, heard, late)
    assert chosen is not None
    assert chosen.row in rows[1:]
    assert means[chosen.row] == max(means[row] for row in rows[1:])
    assert replicated(world, heard, 1.0 + cost[0] + 1e-6) == Point(rows[0], 2)  # the only one in time


def test_a_suggestion_is_a_row_and_each_comes_once(world: World) -> None:
    pool = RowPool(world)
    searcher = OPPONENTS["tpe"].make(pool, 0)
    assert sorted(searcher.ask() for _ in world.rows) == sorted(world.rows)
    assert pool.empty


def test_gains_are_paired_by_campaign() -> None:
    figures = np.zeros((3, 2, 3, 3))
    figures[:, 0, :, 0] = [[0.5], [0.7], [0.9]]
    figures[:, 1, :, 0] = [[0.4], [0.6], [0.8]]
    rows = summary({"ours": figures[:, 0], "random": figures[:, 1]})
    assert rows["ours"]["confirmed_pgr"] == [0.7] * 3
    assert rows["ours"]["se"] == [0.1155] * 3
    assert rows["random"]["ours_ahead"] == [0.1] * 3
    assert rows["random"]["ours_ahead_se"] == [0.0] * 3


def test_the_command_prints_its_figures(table_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", str(table_file), "--methods", "ours,random,asha", "--campaigns", "2", "--json"]
    assert main([*command, "--processes", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["budgets"] == [10, 30, 100]
    assert found["campaigns"] == 2
    assert list(found["methods"]) == ["ours", "random", "asha"]
    for row in found["methods"].values():
        assert len(row["confirmed_pgr"]) == len(row["se"]) == 3


def test_an_earlier_search_lends_its_other_methods(
    table_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Together they give what one search of all gives: campaigns are the same whoever searches."""
    search = ["search", str(table_file), "--campaigns", "2", "--processes", "1", "--tasks", "words"]
    files = [tmp_path / name for name in ("random.json", "both.json", "one.json")]
    assert main([*search, "--methods", "random", "--out", str(files[0])]) == 0
    assert main([*search, "--methods", "asha", "--beside", str(files[0]), "--out", str(files[1])]) == 0
    assert main([*search, "--methods", "asha,random", "--out", str(files[2])]) == 0
    both, one = (json.loads(file.read_text()) for file in files[1:])
    assert both == one
    assert len(both["figures"]["random"]) == 2
    more = ["search", str(table_file), "--campaigns", "3", "--tasks", "words", "--methods", "asha"]
    assert main([*more, "--beside", str(files[0])]) == 2
    assert "lacks some of the first 3 campaigns" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["search", "TABLE", "--tasks", "words,elsewhere"], "has no elsewhere; it has words"),
        (["search", "TABLE", "--methods", "ours,magic"], f"unknown magic; choose from {', '.join(METHODS)}"),
        (["search", "nowhere.npz"], "No such file"),
        (["build", "--data", ".", "--tasks", "x", "--out", "y.npz", "--encoder", "z"], "is not there"),
    ],
)
def test_mistakes_are_one_line(
    table_file: Path, command: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(table_file) if word == "TABLE" else word for word in command]) == 2
    error = capsys.readouterr().err.strip()
    assert complaint in error
    assert len(error.splitlines()) == 1


def test_the_grader_holds_only_the_searchs_supervisors(world: World) -> None:
    assert isinstance(world.grader, Grader)
    assert world.baselines().seeds == 2
    assert len(world.grader.open_test({}).baselines.weak) == 4
