from pathlib import Path
from types import SimpleNamespace

import pytest

from search.config.load import dump_config
from search.config.schema import RunConfig
from search.export.sources import check_free, read_source
from search.ledger.log import Ledger
from search.storage.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path, config: RunConfig) -> RunDirectory:
    (tmp_path / "config.yaml").write_text(dump_config(config))
    return RunDirectory(tmp_path)


def test_a_run_that_has_not_begun_has_nothing_to_export(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="has not begun"):
        read_source(run)


def test_an_edited_config_is_refused(run: RunDirectory, events: SimpleNamespace) -> None:
    ledger = Ledger(run.ledger)
    ledger.append(events.run_started(config_sha256="another"))
    ledger.close()
    with pytest.raises(ValueError, match="was edited after the run began"):
        read_source(run)


def test_a_run_in_progress_can_be_read(run: RunDirectory, config: RunConfig, events: SimpleNamespace) -> None:
    ledger = Ledger(run.ledger)
    ledger.append(events.run_started(config_sha256=config.sha256))
    ledger.close()
    source = read_source(run)
    assert (source.config, source.outcome) == (config, None)


def test_an_empty_folder_is_free_and_a_file_is_not(tmp_path: Path) -> None:
    check_free(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--out .*file: is not an empty directory"):
        check_free(tmp_path / "file")
