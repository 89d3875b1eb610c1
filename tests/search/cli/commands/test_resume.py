import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.__main__ import main
from search.storage.run_directory import RunDirectory


def test_a_finished_run_gives_its_outcome_to_a_script(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str], events: SimpleNamespace
) -> None:
    config, _ = stopped.load()
    text = stopped.ledger.read_text().replace('"c0"', f'"{config.sha256}"')
    stopped.ledger.write_text(text + '{"event": "finished"}\n')
    stopped.result.write_text('{"best": {"pgr": 0.5}}')
    assert main(["resume", str(stopped.path), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == {"best": {"pgr": 0.5}}
    assert "is finished" in output.err


def test_an_edited_config_is_not_gone_on_with(
    stopped: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["resume", str(stopped.path)]) == 2  # its ledger names the digest of another config
    assert "was edited after the run began" in capsys.readouterr().err


def test_what_is_no_run_is_said_before_ray_is_imported(measured: Callable[..., Any], tmp_path: Path) -> None:
    told = measured("resume", str(tmp_path))
    assert (told.code, told.heavy) == (2, [])
    assert told.errors.startswith(f"error: {tmp_path}: holds no run")
