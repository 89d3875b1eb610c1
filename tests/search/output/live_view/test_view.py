import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.ledger.event import now
from search.ledger.events import AnyEvent, Finished, HiddenRead, Interrupted
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.output.live_view import view
from search.output.live_view.baselines import Baselines
from search.output.live_view.progress import status_json
from search.output.live_view.view import View, baselines_text, look, watch
from search.storage.baseline_times import BaselinesBegun, BaselineTime, BaselineTimes, Line
from search.storage.run_directory import RunDirectory, new_run
from tests.search.output.conftest import shown
from trainers.data.settings import ToyTask


def test_a_log_gets_a_line_now_and_then(
    searching: Record, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(view.time, "monotonic", lambda: now)
    console = Console(file=StringIO(), width=60, force_terminal=False)
    with View(console, config, searching) as live:
        live.refresh()
        live.refresh()
        assert shown(console).count("\n") == 1  # one line, however narrow
        now += view.LINE_S + 1
        live.refresh()
    assert shown(console).count("round 1") == 2
    assert "\x1b" not in shown(console)


def test_a_terminal_is_drawn_on_and_left_clean(searching: Record, config: RunConfig) -> None:
    console = Console(file=StringIO(), width=120, force_terminal=True)
    with View(console, config, searching) as live:
        live.refresh()
    assert "3 of 18" in shown(console)
    assert shown(console).rstrip("\n").endswith(("\x1b[?25h", "\x1b[2K"))


def test_it_is_drawn_again_for_the_next_task_of_a_run(
    searching: Record, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(view.time, "monotonic", lambda: now)
    console = Console(file=StringIO(), width=120, force_terminal=True)
    live = View(console, config, searching)
    for task in range(1, 3):
        with live:
            now += view.REDRAW_S * 100
            live.refresh()
            assert shown(console).count("3 of 18") >= task
        assert shown(console).rstrip("\n").endswith(("\x1b[?25h", "\x1b[2K"))


def test_watching_follows_another_process_until_its_run_ends(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    ledger = Ledger(run.ledger)
    steps = iter(
        [events.run_started(), events.started("t1"), events.ended("t1", "failed", "nan"), Finished()]
    )
    clock = SimpleNamespace(sleep=lambda _: ledger.append(next(steps)), monotonic=time.monotonic)
    monkeypatch.setattr(view, "time", clock)  # the other process, and no other thread of this one
    monkeypatch.setattr(view, "LINE_S", 0.0)
    console = Console(file=StringIO(), width=200)
    watch(run, console)
    ledger.close()
    lines = shown(console).splitlines()
    assert lines[0].startswith("round 0: 0 of 18")
    assert lines[3].startswith("round 0: 1 of 18 trials ended (0 pruned, 1 failed)")
    assert "finished, round 0: 1 of 10" in lines[4]  # a finished search has no more trials than it had


def test_watching_counts_the_baselines_that_come_before_the_first_event(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    ledger = Ledger(run.ledger)
    BaselineTimes(run.path).add(BaselineTime(role="weak", seed=0, seconds=1.5))
    steps = iter([events.run_started(), Finished()])
    clock = SimpleNamespace(sleep=lambda _: ledger.append(next(steps)), monotonic=time.monotonic)
    monkeypatch.setattr(view, "time", clock)
    monkeypatch.setattr(view, "REDRAW_S", 0.0)
    console = Console(file=StringIO(), width=200, force_terminal=True)
    watch(run, console)
    ledger.close()
    text = "weak floor and ceiling come first; trained so far: 1"
    before, _, after = shown(console).partition(text)
    assert "round 0" not in before
    assert "round 0" in after
    assert text not in after.partition("finished")[2]
    assert baselines_text(Record.of([events.run_started()]), Baselines(config)) is None


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
    clock = SimpleNamespace(sleep=lambda _: ledger.append(next(steps)), monotonic=time.monotonic)
    monkeypatch.setattr(view, "time", clock)
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
    assert "finished, round 0: 1 of 10 trials ended (0 pruned, 1 failed)" in shown(console)


def test_the_view_follows_a_setting_that_a_person_changes(config: RunConfig, searching: Record) -> None:
    live = View(Console(file=StringIO()), config, searching)
    order = Steered(settings={"search.trials": 20}, config_sha256="")
    searching.apply(order)
    live.apply(order)
    assert live.config.search.trials == 20


def test_a_look_at_a_stopped_run_predicts_nothing(stopped: RunDirectory) -> None:
    found = look(stopped)
    assert found.clock_s() is None
    assert found.record.interrupted


def test_a_run_that_is_elsewhere_is_brought_now_and_then(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    run.ledger.write_text(events.started("t1").model_dump_json() + "\n")
    monkeypatch.setattr(view, "BRING_S", 0.0)
    monkeypatch.setattr(view.time, "sleep", lambda _: None)

    def bring() -> None:
        lines = [events.started("t1"), events.ended("t1"), Finished()]
        run.ledger.write_text("".join(event.model_dump_json() + "\n" for event in lines))

    console = Console(file=StringIO(), width=200)
    watch(run, console, bring)
    assert "finished, round 0: 1 of 10 trials ended" in shown(console)


def test_watching_ends_when_the_process_is_gone_and_shows_its_last_events(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config)
    ledger = Ledger(run.ledger)
    ledger.append(events.started("t1"))
    monkeypatch.setattr(view.time, "sleep", lambda _: None)
    looks = iter([None, True, True, False])

    def at_work() -> bool | None:
        if (works := next(looks)) is False:
            ledger.append(events.ended("t1", "failed", "nan"))
        return works

    console = Console(file=StringIO(), width=200)
    record = watch(run, console, at_work=at_work)
    ledger.close()
    assert next(looks, "all") == "all"
    assert record.ended("failed") == 1
    assert "in progress, round 0: 1 of 18 trials ended (0 pruned, 1 failed)" in shown(console)


def test_a_drawing_that_takes_long_is_made_rarely(
    config: RunConfig, searching: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, drawn = [1000.0], [0]

    def draw(_: View) -> None:
        drawn[0] += 1
        now[0] += 2.0

    monkeypatch.setattr(view.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(View, "_draw", draw)
    live = View(Console(file=StringIO(), force_terminal=True), config, searching)
    for _ in range(100):
        live.refresh()
        now[0] += 1.0
    assert drawn[0] == 3  # at 0, 40 and 80 seconds


def test_a_look_at_a_run_whose_baselines_train_tells_when_it_will_have_ended(
    tmp_path: Path, config: RunConfig
) -> None:
    run, times = new_run(tmp_path, config), BaselineTimes(tmp_path)
    assert look(run).clock_s() is None
    times.add(BaselinesBegun(due={"ceiling": 2}, together=1, at=now() - 20))
    times.add(BaselineTime(role="ceiling", seed=0, seconds=9.0, at=now()))
    found = look(run)
    clock_s = found.clock_s()
    assert clock_s is not None
    assert clock_s["baselines"] == pytest.approx(9.0)
    told = status_json(found.config, found.record, clock_s)
    assert told["left_s"] == pytest.approx(sum(told["left_by_phase"].values()))
    assert list(told["left_by_phase"]) == ["baselines", "search", "replication", "confirmation"]
    text = baselines_text(found.record, found.baselines)
    assert text is not None
    assert text.plain == "weak floor and ceiling come first; 1 of 2 trained"
    console = Console(file=StringIO(), width=80)
    console.print(found.picture(clock_s))
    [bar] = [line for line in shown(console).splitlines() if line.startswith("baselines")]
    assert bar.split("1 of 2")[1].strip() == "about 9 s"
    times.add(BaselineTime(role="weak", seed=0, seconds=1.0, share=0.0, due_s=30.4, at=now()))
    found = look(run)
    text = baselines_text(found.record, found.baselines)
    assert text is not None
    assert text.plain == "weak floor and ceiling come first; 1 of 2 trained, frozen features in about 30 s"


FAR = HiddenTask(name="far", task=ToyTask(seed=3))


def test_the_baselines_of_a_hidden_task_are_shown_until_it_is_read(
    config: RunConfig, events: SimpleNamespace
) -> None:
    config = config.model_copy(update={"hidden": (FAR,)})
    of_search = BaselinesBegun(due={"weak": 1}, together=1, at=1.0)
    lines: list[Line] = [
        of_search,
        BaselinesBegun(due={"weak": 6, "ceiling": 12}, together=1, at=2.0, task="far"),
    ]
    lines += [BaselineTime(role="weak", seed=seed, seconds=1.0, task="far", at=3.0) for seed in range(3)]
    lines.append(
        BaselineTime(role="ceiling", seed=0, seconds=1.0, share=0.0, due_s=30.4, task="far", at=now())
    )
    past = [events.run_started(), events.started("c1", purpose="confirm", branch="")]

    def text(*more: AnyEvent, lines: list[Line] = lines) -> str | None:
        found = baselines_text(Record.of([*past, *more]), Baselines(config, lines))
        return None if found is None else found.plain

    assert text() == "weak floor and ceiling of far; 3 of 18 trained, frozen features in about 30 s"
    assert text(HiddenRead(task="far", train_s=1.0)) is None
    assert text(Interrupted()) is None
    assert text(lines=[of_search]) is None
    assert text(lines=[*lines, of_search]) is None  # another process, which has not come so far
    assert text(lines=[of_search.model_copy(update={"task": "second of the search"})]) is None


def test_watching_shows_the_baselines_of_a_hidden_task(
    tmp_path: Path, config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path, config.model_copy(update={"hidden": (FAR,)}))
    ledger, times = Ledger(run.ledger), BaselineTimes(run.path)
    for event in (events.run_started(), events.started("c1", purpose="confirm", branch="")):
        ledger.append(event)

    def steps() -> Iterator[None]:
        yield
        assert "of far" not in shown(console)
        times.add(BaselinesBegun(due={"weak": 2}, together=1, at=now(), task="far"))
        yield
        ledger.append(Finished())
        yield

    other = steps()
    clock = SimpleNamespace(sleep=lambda _: next(other), monotonic=time.monotonic)
    monkeypatch.setattr(view, "time", clock)
    monkeypatch.setattr(view, "REDRAW_S", 0.0)
    monkeypatch.setattr(view, "RARELY", 0)
    console = Console(file=StringIO(), width=200, force_terminal=True)
    watch(run, console)
    ledger.close()
    assert "weak floor and ceiling of far; 0 of 2 trained" in shown(console)
    assert look(run).baselines.hidden_task == "far"
