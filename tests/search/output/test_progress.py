from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from agents.language.proposal import Branch, Proposal
from search.config.schema import RunConfig
from search.ledger.events import Finished, Interrupted, Proposed
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.output import progress as view
from search.output.progress import View, status, status_json, status_line, watch
from search.output.remaining import training_left_s
from search.storage.run_directory import new_run


@pytest.fixture
def record(events: SimpleNamespace, branch: Callable[..., Branch]) -> Record:
    branches = (branch("one"), branch("two"))
    return Record.of(
        [
            events.run_started(),
            events.baselines(),
            Proposed(round=1, proposal=Proposal(branches=branches, rationale=""), seconds=0),
            events.started("t1"),
            events.reached("t1", 1.0, 0.4321, se=0.0567),
            events.ended("t1"),
            events.started("t2"),
            events.reached("t2", 1 / 3, 0.4),
            events.ended("t2", "pruned"),
            events.started("t3", branch="two"),
            events.ended("t3", "failed", "nan"),
            events.started("t4", branch="two"),
        ]
    )


def shown(console: Console) -> str:
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_one_line_says_where_a_run_stands(record: Record, config: RunConfig) -> None:
    # Eight trials of the search, and naive and two finalists on three seeds each: 17.
    line = status_line(config, record, 3725.0)
    for part in ("round 1", "3 of 17", "1 pruned", "1 failed", "0.432 ± 0.057", "about 1 h 2 min left"):
        assert part in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("left_s", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")],
)
def test_the_time_left_is_told_as_a_clock_would(
    record: Record, config: RunConfig, left_s: float, text: str
) -> None:
    assert f"about {text} left" in status_line(config, record, left_s)


def test_before_any_trial_nothing_is_made_up(config: RunConfig) -> None:
    line = status_line(config, Record(), None)
    assert "0 of 17" in line
    assert "none yet" in line
    assert "left" not in line


def test_the_table_has_a_row_a_branch(record: Record, config: RunConfig) -> None:
    console = Console(file=StringIO(), width=160)
    console.print(status(config, record, None))
    rows = {line.split()[0]: line.split() for line in shown(console).splitlines() if line.strip()}
    # branch, round, trials, running, pruned, failed, best PGR
    assert rows["one"][:6] == ["one", "1", "2", "0", "1", "0"]
    assert "0.432" in rows["one"]
    assert rows["two"][:6] == ["two", "1", "2", "1", "0", "1"]


def test_a_log_gets_a_line_now_and_then(
    record: Record, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(view.time, "monotonic", lambda: now)
    console = Console(file=StringIO(), width=60, force_terminal=False)
    with View(console, config, record) as live:
        live.refresh()
        live.refresh()
        assert shown(console).count("\n") == 1  # one line, however narrow
        now += view.LINE_S + 1
        live.refresh()
    assert shown(console).count("round 1") == 2
    assert "\x1b" not in shown(console)


def test_a_terminal_is_drawn_on_and_left_clean(record: Record, config: RunConfig) -> None:
    console = Console(file=StringIO(), width=120, force_terminal=True)
    with View(console, config, record) as live:
        live.refresh()
    assert "3 of 17" in shown(console)
    assert shown(console).rstrip("\n").endswith(("\x1b[?25h", "\x1b[2K"))


def test_the_time_left_follows_from_the_pace_of_this_process(
    record: Record, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(view.time, "monotonic", lambda: now)
    live = View(Console(file=StringIO()), config, record)
    now += 10
    assert live.left_s() is None  # of what was trained, nothing by this process
    record.apply(events.reached("t4", 1.0, 0.2))
    left_s = training_left_s(config, record)
    assert left_s is not None
    assert live.left_s() == pytest.approx(left_s * 10 / 4)  # 4 s of training took 10 s


def test_watching_follows_another_process_until_its_run_ends(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    ledger = Ledger(run.ledger)
    steps = iter(
        [events.run_started(), events.started("t1"), events.ended("t1", "failed", "nan"), Finished()]
    )
    monkeypatch.setattr(view.time, "sleep", lambda _: ledger.append(next(steps)))  # the other process
    monkeypatch.setattr(view, "LINE_S", 0.0)
    console = Console(file=StringIO(), width=200)
    watch(run, console)
    ledger.close()
    lines = shown(console).splitlines()
    assert lines[0].startswith("round 0: 0 of 17")
    assert lines[3].startswith("round 0: 1 of 17 trials ended (0 pruned, 1 failed)")
    assert "finished, round 0: 1 of 17" in lines[4]


def test_the_state_for_a_script(record: Record, config: RunConfig) -> None:
    assert status_json(config, record)["state"] == "in progress"
    record.apply(Interrupted())
    assert status_json(config, record)["state"] == "interrupted"
    assert status_line(config, record, None).startswith("interrupted, round 1")
    record.apply(Finished())
    assert status_json(config, record)["state"] == "finished"


def test_watching_reads_only_what_was_appended(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    ledger = Ledger(run.ledger)
    for number in range(100):
        ledger.append(events.started(f"t{number}"))
    applied: list[str] = []
    apply = Record.apply
    monkeypatch.setattr(
        Record, "apply", lambda self, event: (applied.append(event.event), apply(self, event))
    )
    steps = iter([events.ended("t1"), events.ended("t2"), Finished()])
    monkeypatch.setattr(view.time, "sleep", lambda _: ledger.append(next(steps)))
    watch(run, Console(file=StringIO(), width=200))
    ledger.close()
    assert applied == ["trial_started"] * 100 + ["trial_ended", "trial_ended", "finished"]


def test_watching_starts_over_with_a_ledger_that_was_replaced(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    run.ledger.write_text(events.started("t1").model_dump_json() + "\n")

    def replaced(_: float) -> None:
        lines = [events.started("u1"), events.ended("u1", "failed", "nan"), Finished()]
        run.ledger.write_text("".join(event.model_dump_json() + "\n" for event in lines))

    monkeypatch.setattr(view.time, "sleep", replaced)
    console = Console(file=StringIO(), width=200)
    watch(run, console)
    assert "finished, round 0: 1 of 17 trials ended (0 pruned, 1 failed)" in shown(console)
