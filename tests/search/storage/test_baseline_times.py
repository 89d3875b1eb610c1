from pathlib import Path

from search.config.schema import RunConfig
from search.storage.baseline_times import BaselineTimes
from search.storage.run_directory import new_run


def test_times_add_up_over_the_processes_of_a_run_that_has_no_ledger_yet(
    tmp_path: Path, config: RunConfig
) -> None:
    run = new_run(tmp_path / "run", config)
    assert BaselineTimes(run.path).total_s() == 0
    BaselineTimes(run.path).add("weak", 0, 1.5)
    again = new_run(run.path, config)  # as the same command does after a Ctrl-C
    BaselineTimes(again.path).add("ceiling", 0, 40)
    assert BaselineTimes(again.path).total_s() == 41.5


def test_a_line_that_a_crash_cut_short_costs_itself_alone(tmp_path: Path) -> None:
    times = BaselineTimes(tmp_path)
    times.add("weak", 0, 1.5)
    with (tmp_path / "baselines.jsonl").open("a") as file:
        file.write('{"role":"we')
    assert times.total_s() == 1.5
    times.add("weak", 1, 2)
    assert times.total_s() == 3.5


def test_times_of_a_hidden_task_are_its_own(tmp_path: Path) -> None:
    times = BaselineTimes(tmp_path)
    times.add("weak", 0, 1.5)
    times.add("weak", 0, 4.0, "elsewhere")
    assert (times.total_s(), times.total_s("elsewhere"), times.total_s("nowhere")) == (1.5, 4.0, 0.0)
