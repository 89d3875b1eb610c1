import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from search.config.schema import RunConfig
from search.ledger.record import Record
from search.output.live_view.progress import status
from search.output.trials import as_csv, trial_rows, trials_table, write_parquet
from trainers.method import Method


@pytest.fixture
def rows(config: RunConfig, record: Record) -> list[dict[str, object]]:
    return trial_rows(config, record)


def test_a_row_has_scores_at_rungs_seconds_and_the_cause(rows: list[dict[str, object]]) -> None:
    first, pruned, failed, confirmed = rows
    assert [row["trial"] for row in rows] == ["t1", "t2", "t3", "c1"]
    assert (first["pgr_at_0.3333"], first["pgr_at_1"], first["pgr"], first["stop"]) == (
        0.3,
        0.6,
        0.6,
        1.0,
    )
    assert first["seconds"] == 9.0  # half a second of setup, three of training, one of evaluation; twice
    assert (pruned["state"], pruned["cause"], pruned["pgr_at_0.25"]) == ("pruned", "PGR -0.3", -0.3)
    assert (failed["state"], failed["cause"], failed["seconds"]) == ("failed", "nan", 0)
    assert (confirmed["purpose"], confirmed["pgr"]) == ("confirm", None)
    assert (pruned["branch"], pruned["family"], pruned["round"]) == ("one", "loss", 1)


def test_the_whole_method_can_be_read_back(rows: list[dict[str, object]], record: Record) -> None:
    for row in rows:
        method = Method.model_validate_json(str(row["settings"]))
        assert method == record.trials[str(row["trial"])].method
        assert method.digest == row["digest"]


def test_csv_has_a_header_and_a_line_a_trial(rows: list[dict[str, object]]) -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [row["trial"] for row in read] == ["t1", "t2", "t3", "c1"]
    assert float(read[0]["pgr"]) == 0.6
    assert read[3]["pgr"] == ""
    assert json.loads(read[0]["settings"])["loss"]["kind"] == "xent"


def test_no_spreadsheet_computes_a_text(rows: list[dict[str, object]]) -> None:
    hostile = [rows[0] | {"branch": "=cmd()", "cause": "+1\nand\x1b[2J more", "pgr": -0.5}]
    (read,) = csv.DictReader(io.StringIO(as_csv(hostile)))
    assert (read["branch"], read["cause"]) == ("'=cmd()", "'+1 and?[2J more")
    assert float(read["pgr"]) == -0.5


def test_no_trials_are_an_empty_file() -> None:
    assert as_csv([]).strip() == ""


def test_parquet_keeps_numbers_and_gaps(rows: list[dict[str, object]], tmp_path: Path) -> None:
    from pyarrow import parquet

    write_parquet(rows, tmp_path / "t.parquet")
    read = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert read == rows
    with pytest.raises(ValueError, match=r"--parquet .*: cannot be written"):
        write_parquet(rows, tmp_path / "nowhere" / "t.parquet")


def test_the_table_has_the_best_first(rows: list[dict[str, object]]) -> None:
    console = Console(width=200, record=True, quiet=False, file=io.StringIO())
    console.print(trials_table(rows))
    lines = [line for line in console.export_text().splitlines() if line.startswith("│")]
    assert [line.split()[1] for line in lines] == ["t1", "t2", "t3", "c1"]
    assert "pruned: PGR -0.3" in lines[1]


def test_the_table_says_where_a_training_stops_as_status_does(
    rows: list[dict[str, object]], config: RunConfig, record: Record
) -> None:
    shown, looked = Console(width=200), Console(width=200)
    with shown.capture() as of_trials:
        shown.print(trials_table(rows))
    with looked.capture() as of_status:
        looked.print(status(config, record))
    assert "stops at" in of_trials.get()
    assert "stops at" in of_status.get()
    first, second, *_ = (line for line in of_trials.get().splitlines() if line.startswith("│ t"))
    leader = next(line for line in of_status.get().splitlines() if line.startswith("two-red"))
    assert leader.split()[-1] == "100%"
    assert (" 100% " in first, " 25% " in second) == (True, True)


def test_the_table_names_the_hidden_task_that_a_trial_learned(rows: list[dict[str, object]]) -> None:
    shown = Console(width=200)
    with shown.capture() as capture:
        shown.print(trials_table([rows[-1] | {"purpose": "hidden", "task": "there"}]))
    assert "hidden: there" in capture.get()


def test_of_several_tasks_a_row_has_the_pgr_on_each(
    on_tasks: Callable[..., RunConfig], record: Record, events: SimpleNamespace
) -> None:
    config = on_tasks("a", "b")
    for event in (events.started("t4"), *events.reached_on("t4", {"a": 0.7, "b": 0.1})):
        record.apply(event)
    whole, partly = events.reached_on("t5", {"a": -0.5, "b": 0.0}), events.started("t5")
    for event in (partly, whole[0]):
        record.apply(event)
    *_, row, pruned = trial_rows(config, record)
    assert (row["pgr_on_a"], row["pgr_on_b"], row["pgr"]) == (0.7, 0.1, pytest.approx(0.4))
    assert (pruned["pgr_on_a"], pruned["pgr_on_b"], pruned["pgr"]) == (-0.5, None, None)
    assert pruned["seconds"] == 4.5
