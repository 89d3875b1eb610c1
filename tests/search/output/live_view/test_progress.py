from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from search.config.schema import RunConfig
from search.ledger.events import EarlierOpening, Finished, Interrupted, TestOpened
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view.progress import WIDTH, status, status_json, status_line
from tests.search.output.conftest import shown

CLOCK_S = {"search": 3600.0, "replicate": 0.0, "confirm": 125.0}


def picture(config: RunConfig, record: Record) -> str:
    console = Console(file=StringIO(), width=WIDTH)
    console.print(status(config, record, CLOCK_S))
    return shown(console)


def test_one_line_says_where_a_run_stands(searching: Record, config: RunConfig) -> None:
    # Eight of the search, naive on its seed, naive and two finalists on three fresh ones: 18.
    line = status_line(config, searching, 3725.0)
    for part in ("round 1", "3 of 18", "1 pruned", "1 failed", "0.432 ± 0.057", "about 1 h 2 min left"):
        assert part in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("left_s", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")],
)
def test_the_time_left_is_told_as_a_clock_would(
    searching: Record, config: RunConfig, left_s: float, text: str
) -> None:
    assert f"about {text} left" in status_line(config, searching, left_s)


def test_before_any_trial_nothing_is_made_up(config: RunConfig) -> None:
    line = status_line(config, Record(), None)
    assert "0 of 18" in line
    assert "none yet" in line
    assert "left" not in line


def test_the_state_for_a_script(searching: Record, config: RunConfig) -> None:
    assert status_json(config, searching)["state"] == "in progress"
    searching.apply(Interrupted())
    assert status_json(config, searching)["state"] == "interrupted"
    assert status_line(config, searching, None).startswith("interrupted, round 1")
    searching.apply(Finished())
    assert status_json(config, searching)["state"] == "finished"


def test_who_has_opened_the_test_split_is_said_once_it_was(
    searching: Record, config: RunConfig, events: SimpleNamespace
) -> None:
    assert "test split" not in picture(config, searching)
    assert status_json(config, searching)["test_split"] is None
    before = EarlierOpening(run="before", id="1a", at=1.0, shared=7)
    for event in (
        events.run_started(run="mine"),
        TestOpened(at=2.0, queries=2, digest="d", examples=9, earlier=(before,)),
        Finished(),
    ):
        searching.apply(event)
    assert "the test split has been opened 2 times, by before, mine" in picture(config, searching)
    found = status_json(config, searching)
    assert (found["test_openings"], found["test_split"]["opened"]) == (1, 2)
    assert [opening["run"] for opening in found["test_split"]["by"]] == ["before", "mine"]


def test_the_picture_has_a_bar_a_phase_with_its_time(searching: Record, config: RunConfig) -> None:
    lines = picture(config, searching).splitlines()
    assert lines[0] == "in progress, round 1: 3 of 18 trials ended (1 pruned, 1 failed)"
    assert lines[1] == "about 1 h 2 min left"
    search, _, confirm = lines[2:5]
    assert search.split()[0] == "search"
    assert "3 of 8" in search
    assert "about 1 h 0 min" in search
    assert confirm.split()[0] == "confirmation"
    assert "0 of 9" in confirm
    assert "about 2 min 5 s" in confirm


def test_a_full_bar_of_an_earlier_confirmation_does_not_stand_for_the_one_that_is_due(
    searching: Record, config: RunConfig, events: SimpleNamespace
) -> None:
    """All 9 trials of it ended, and as things stand the finalist is the one that was confirmed."""
    for i in range(9):
        seed = config.confirm_seeds()[i % 3]
        start = events.started(f"c{i}", purpose="confirm", branch="", method=config.naive, seed=seed)
        for event in (start, events.ended(f"c{i}")):
            searching.apply(event)
    assert "another is due" not in picture(config, searching)
    searching.apply(Steered(by="resume", settings={"search.trials": 20}))
    [line] = [line for line in picture(config, searching).splitlines() if line.startswith("confirmation")]
    assert "9 of about 9" in line
    assert line.rstrip().endswith("another is due")


def test_the_picture_shows_the_best_methods_and_the_branches_let_go(
    searching: Record, config: RunConfig
) -> None:
    searching.apply(Steered(stop=("two",)))
    text = picture(config, searching)
    best = next(line for line in text.splitlines() if line.startswith("one"))
    assert best.split()[1] == "0.432"
    assert best.split()[-1] == "100%"
    gone = next(line for line in text.splitlines() if line.startswith("two"))
    assert gone.split()[1:4] == ["2", "stopped", "–"]
    assert "steer: branch two is stopped" in text


def test_the_picture_fits_a_terminal_of_80_columns(config: RunConfig, searching: Record) -> None:
    text = picture(config, searching)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "Traceback" not in text


def test_the_families_of_all_branches_are_shown_with_their_entropy(
    searching: Record, config: RunConfig
) -> None:
    found = status_json(config, searching)
    assert (found["branches"], found["families"], found["entropy_bits"]) == (2, {"loss": 1.0}, 0.0)
    text = picture(config, searching)
    assert "families: loss 100%" in text
    assert "2 branches, entropy 0.00 bits" in text
    assert status_json(config, Record())["families"] == {}
    assert "families" not in picture(config, Record())


@pytest.mark.parametrize("names", [("a", "b"), ("reviews", "quarrels-of-neighbours", "verdicts", "chats")])
def test_a_column_a_task_for_the_best_methods_within_80_columns(
    on_tasks: Callable[..., RunConfig], searching: Record, events: SimpleNamespace, names: tuple[str, ...]
) -> None:
    pgrs = dict.fromkeys(names, 1.111) | {names[-1]: -0.123}
    searching.apply(events.started("t5", lr=2e-3))
    for event in events.reached_on("t5", pgrs):
        searching.apply(event)
    text = picture(on_tasks(*names), searching)
    assert max(map(len, text.splitlines())) <= WIDTH
    head = next(line for line in text.splitlines() if line.startswith("the best so far"))
    assert head.split()[4:6] == ["PGR", names[0][:6] if len(names[0]) <= 6 else f"{names[0][:5]}…"]
    assert " ".join(f"{pgr:.3f}" for pgr in pgrs.values()) in " ".join(text.split())


def test_more_than_four_tasks_have_no_columns_but_are_told_to_scripts(
    on_tasks: Callable[..., RunConfig], searching: Record, events: SimpleNamespace
) -> None:
    pgrs = dict.fromkeys("abcde", 0.5)
    searching.apply(events.started("t5", lr=2e-3))
    for event in events.reached_on("t5", pgrs):
        searching.apply(event)
    config = on_tasks(*pgrs)
    assert "PGR is over 5 tasks; status --json has it on each" in picture(config, searching)
    assert status_json(config, searching)["leaders"][0]["on_tasks"] == pgrs


def test_a_pause_is_a_state(searching: Record, config: RunConfig) -> None:
    searching.apply(Steered(paused=True))
    assert status_json(config, searching)["state"] == "paused"


def test_all_counts_of_trials_agree(searching: Record, config: RunConfig) -> None:
    found = status_json(config, searching)
    assert sum(found["trials"].values()) == found["ended"] == 3
    assert sum(phase["started"] for phase in found["phases"].values()) == 4


def test_naive_stands_below_the_best_once_it_was_trained_there(
    searching: Record, config: RunConfig, events: SimpleNamespace
) -> None:
    assert status_json(config, searching)["naive"] == {"pgr": None, "seeds": 0}
    assert "naive, to compare" not in picture(config, searching)
    searching.apply(events.started("r1", purpose="replicate", branch="", method=config.naive))
    searching.apply(events.reached("r1", 1.0, 0.2))
    row = next(line for line in picture(config, searching).splitlines() if line.startswith("naive"))
    assert row.split()[-2:] == ["0.200", "1"]
    assert status_json(config, searching)["naive"] == {"pgr": 0.2, "seeds": 1}
