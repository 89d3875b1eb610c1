from pathlib import Path

from search.config.schema import RunConfig
from search.storage.baseline_times import BaselinesBegun, BaselineTime, BaselineTimes
from search.storage.run_directory import new_run


def ended(role: str, seed: int, seconds: float, task: str = "") -> BaselineTime:
    return BaselineTime(role=role, seed=seed, seconds=seconds, task=task)


def test_times_add_up_over_the_processes_of_a_run_that_has_no_ledger_yet(
    tmp_path: Path, config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", config)
    assert BaselineTimes(run.path).total_s() == 0
    BaselineTimes(run.path).add(ended("weak", 0, 1.5))
    again = new_run(run.path, config)  # as the same command does after a Ctrl-C
    BaselineTimes(again.path).add(ended("ceiling", 0, 40))
    assert BaselineTimes(again.path).total_s() == 41.5


def test_a_line_that_a_crash_cut_short_costs_itself_alone(tmp_path: Path) -> None:
    times = BaselineTimes(tmp_path)
    times.add(ended("weak", 0, 1.5))
    with (tmp_path / "baselines.jsonl").open("a") as file:
        file.write('{"role":"we')
    assert times.total_s() == 1.5
    times.add(ended("weak", 1, 2))
    assert times.total_s() == 3.5


def test_times_of_a_hidden_task_are_its_own(tmp_path: Path) -> None:
    times = BaselineTimes(tmp_path)
    times.add(ended("weak", 0, 1.5))
    times.add(ended("weak", 0, 4.0, "elsewhere"))
    assert (times.total_s(), times.total_s("elsewhere"), times.total_s("nowhere")) == (1.5, 4.0, 0.0)


def test_those_under_way_are_told_apart_from_those_that_have_finished(tmp_path: Path) -> None:
    times = BaselineTimes(tmp_path)
    begun = BaselinesBegun(due={"weak": 2}, together=1, at=5.0)
    early = BaselineTime(role="weak", seed=0, seconds=1.0, share=0.25, at=7.0)
    for line in (begun, early, ended("weak", 0, 4.0)):
        times.add(line)
    assert times.lines() == [begun, early, ended("weak", 0, 4.0)]
    assert times.finished() == [ended("weak", 0, 4.0)]
    assert times.total_s() == 4.0
