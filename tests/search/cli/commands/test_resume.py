import json
from types import SimpleNamespace

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
