import json
import os
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from search.studies.storage import OneWriterFile, open_journal


def filled(path: Path) -> optuna.Study:
    """A study with a completed trial, a pruned and a running one."""
    study = optuna.create_study(study_name="one", storage=open_journal(path), direction="maximize")
    for state, value in ((TrialState.COMPLETE, 0.5), (TrialState.PRUNED, None)):
        trial = study.ask({"lr": FloatDistribution(1e-4, 1e-2, log=True)})
        trial.report(0.25, 0)
        study.tell(trial, value, state=state)
    study.ask()
    return study


def told(storage: optuna.storages.BaseStorage) -> list[tuple[object, ...]]:
    study = optuna.load_study(study_name="one", storage=storage)
    return [(t.number, t.state, t.value, t.params, t.intermediate_values) for t in study.trials]


def test_optuna_s_own_storage_reads_the_same(tmp_path: Path) -> None:
    study = filled(tmp_path / "a.log")
    seen = told(study._storage)
    assert [one[1] for one in seen] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    assert told(open_journal(tmp_path / "a.log")) == seen
    assert told(JournalStorage(JournalFileBackend(str(tmp_path / "a.log")))) == seen


def test_what_optuna_s_own_storage_wrote_is_gone_on_with(tmp_path: Path) -> None:
    own = JournalStorage(JournalFileBackend(str(tmp_path / "a.log")))
    optuna.create_study(study_name="one", storage=own).ask()
    study = optuna.load_study(study_name="one", storage=open_journal(tmp_path / "a.log"))
    assert study.ask().number == 1


def test_a_line_cut_short_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    seen = told(filled(path)._storage)
    with path.open("ab") as file:
        file.write(b'{"op_code":4,"trial')
    storage = open_journal(path)
    assert told(storage) == seen
    optuna.load_study(study_name="one", storage=storage).ask()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) > 0
    assert len(told(open_journal(path))) == 4


def test_on_a_full_disk_what_is_written_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.log"
    journal = OneWriterFile(path)
    journal.append_logs([{"n": 0}])
    list(journal.read_logs(0))

    class Full:
        """A disk with room for three more bytes."""

        def __init__(self, file: object) -> None:
            self._file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def write(self, data: bytes) -> int:
            return self._file.write(data[:3])

    room = journal._file
    journal._file = Full(room)
    with pytest.raises(OSError, match="is the disk full"):
        journal.append_logs([{"n": 1}])
    journal._file = room
    journal.append_logs([{"n": 2}])
    assert list(journal.read_logs(1)) == [{"n": 2}]
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"n": 0}, {"n": 2}]
    assert os.path.getsize(path) == 16
