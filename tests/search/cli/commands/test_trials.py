import json
from pathlib import Path

import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory


def test_trials_are_a_table_csv_json_or_parquet(
    stopped: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(stopped.path)
    assert main(["trials", run]) == 0
    assert "1 trial " in capsys.readouterr().out
    assert main(["trials", run, "--csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("t1,search,one,sampler,,")
    assert main(["trials", run, "--json"]) == 0
    assert [row["trial"] for row in json.loads(capsys.readouterr().out)] == ["t1"]
    assert main(["trials", run, "--parquet", str(tmp_path / "t.parquet")]) == 0
    assert (tmp_path / "t.parquet").is_file()


def test_one_form_at_a_time(stopped: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trials", str(stopped.path), "--csv", "--json"]) == 2
    assert "give one of --csv, --parquet FILE and --json" in capsys.readouterr().err
