from pathlib import Path
from types import SimpleNamespace

import pytest

from search.config.load import changed, dump_config
from search.config.schema import RunConfig
from search.config.tasks import HiddenTask
from search.export import sources as module
from search.export.sources import Source, check_free, load_sources, read_source
from search.ledger.events import Sources
from search.ledger.log import Ledger
from search.ledger.record import Record
from search.ledger.steered import Steered
from search.storage.run_directory import RunDirectory
from search.workers.loading import Loaded, models_of
from search.workers.sealed import loaded_digests
from trainers.data.dataset import load_task
from trainers.data.settings import SplitSizes, ToyTask


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


def test_a_run_that_was_steered_can_be_read(
    run: RunDirectory, config: RunConfig, events: SimpleNamespace
) -> None:
    steered = changed(config, {"search.trials": 99})
    ledger = Ledger(run.ledger)
    ledger.append(events.run_started(config_sha256=config.sha256))
    ledger.append(Steered(settings={"search.trials": 99}, config_sha256=steered.sha256))
    ledger.close()
    assert read_source(run).config == steered  # config.yaml is behind the ledger, then not
    run.write_config(steered)
    assert read_source(run).config == steered
    run.write_config(changed(config, {"search.trials": 98, "seed": 2}))
    with pytest.raises(ValueError, match="was edited after the run began"):
        read_source(run)


def test_hidden_tasks_are_not_needed(
    config: RunConfig, events: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"kind": "dataset", "path": "gone.jsonl", "splits": config.task.splits}
    with_hidden = config.model_copy(
        update={"hidden": (HiddenTask.model_validate({"name": "there", "task": task}),)}
    )
    models = [model for _, model in models_of(config)]
    small = ToyTask(splits=SplitSizes(weak_train=9, transfer=9, search=9, test=9))
    loaded = Loaded(task=load_task(small), weights=dict.fromkeys(models, "w"))
    monkeypatch.setattr(module, "load", lambda config: loaded)
    digests = loaded_digests(config, loaded, "ab") | {"hidden.there.test.inputs": "gone"}
    kept = Sources(salt="ab", digests=digests, commits={})

    def source(kept: Sources) -> Source:
        record = Record.of([events.run_started(sources=kept)])
        return Source(as_run=with_hidden, config=with_hidden, record=record, outcome=None)

    assert load_sources(source(kept)) == loaded
    other = kept.model_copy(update={"digests": digests | {"test.truth": "another"}})
    with pytest.raises(ValueError, match=r"changed: test\.truth"):
        load_sources(source(other))


def test_an_empty_folder_is_free_and_a_file_is_not(tmp_path: Path) -> None:
    check_free(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--out .*file: is not an empty directory"):
        check_free(tmp_path / "file")


@pytest.mark.parametrize("place", ["/proc/new", "{folder}/file/new", "{folder}/file/a/b/new"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_trained(
    place: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--out .*new: cannot be written \(.*\); choose another place"):
        check_free(Path(place.format(folder=tmp_path)))
    check_free(tmp_path / "new/deep/folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
