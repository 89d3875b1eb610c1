import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from rich.console import Console

from search.config.load import dump_config
from search.config.schema import RunConfig
from search.export import model
from search.export.model import export_model
from search.ledger.events import RunStarted
from search.ledger.log import Ledger
from search.storage.run_directory import RunDirectory
from trainers.data.examples import Task

QUIET = Console(quiet=True)
ALONE = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("search", "trainers", "agents", "cluster"):
            raise ImportError(f"{name} is not of this folder")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
from predict import as_examples, load
records = [json.loads(line) for line in sys.stdin]
json.dump(load(sys.argv[1]).probabilities(as_examples(records)).tolist(), sys.stdout)
"""


def alone(folder: Path, texts: tuple[str, ...]) -> list[float]:
    """The answers of a folder in a process that cannot import this package."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    ran = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, str(folder)], input=lines, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    found: list[float] = json.loads(ran.stdout)
    return found


@pytest.fixture
def copied(finished: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of the run to do things to."""
    shutil.copytree(finished.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_exported_model_gives_the_recorded_answers_without_this_package(
    finished: RunDirectory, task: Task, tmp_path: Path
) -> None:
    """The export trains in a process of its own, the folder answers in another."""
    before = finished.ledger.read_bytes()
    done = export_model(finished, tmp_path / "out", QUIET)
    assert (done.members, done.kept, done.agreement) == (2, False, 1.0)
    expected = np.load(finished.path / "answers-c1.npy")
    np.testing.assert_allclose(alone(tmp_path / "out", task.inputs["test"].texts), expected, atol=1e-4)
    assert finished.ledger.read_bytes() == before
    card = (tmp_path / "out/README.md").read_text()
    assert "0.500 ± 0.050, 95% interval 0.400 to 0.600" in card
    assert "this folder gives 100.00% of those on the test split" in card
    assert yaml.safe_load((tmp_path / "out/method.yaml").read_text())["methods"]
    modes = {file.stat().st_mode for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert len(modes) == 1
    truth = task.truth["test"].tobytes()
    assert not [
        file for file in (tmp_path / "out").rglob("*") if file.is_file() and truth in file.read_bytes()
    ]


def training(process: psutil.Process, scratch: Path, out: Path) -> bool:
    """The process that trains is there; others, such as git, come and go."""
    with suppress(psutil.Error):
        return any("cluster.apart" in " ".join(child.cmdline()) for child in process.children())
    return False


def one_of_two_is_trained(process: psutil.Process, scratch: Path, out: Path) -> bool:
    return any(scratch.rglob("member-0.safetensors"))


def writing(process: psutil.Process, scratch: Path, out: Path) -> bool:
    """A folder that is to become the export has begun."""
    return any(out.parent.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", [training, one_of_two_is_trained, writing])
def test_a_ctrl_c_leaves_nothing_half_written(
    moment: Callable[[psutil.Process, Path, Path], bool], finished: RunDirectory, tmp_path: Path
) -> None:
    """As a terminal sends it: to the command and to the process that trains for it."""
    scratch, out = tmp_path / "scratch", tmp_path / "exports/out"
    scratch.mkdir()
    out.parent.mkdir()
    before = {file: file.read_bytes() for file in finished.path.rglob("*") if file.is_file()}
    words = ["export", str(finished.path), "--out", str(out)]
    command = subprocess.Popen(
        [sys.executable, "-m", "search", *words],
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process = psutil.Process(command.pid)
    while not moment(process, scratch, out):
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    trainers = process.children()
    os.killpg(command.pid, signal.SIGINT)
    output, errors = command.communicate()
    assert command.returncode == 130, errors
    assert output.strip() == ""
    assert "Traceback" not in errors
    assert list(scratch.iterdir()) == list(out.parent.iterdir()) == []
    assert {file: file.read_bytes() for file in finished.path.rglob("*") if file.is_file()} == before
    assert not [trainer for trainer in trainers if trainer.is_running()]


def test_kept_models_are_taken_and_nothing_is_trained(
    copied: RunDirectory, small: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from search.export.learning import learning
    from search.workers.loading import load
    from trainers.models.pool import ModelPool
    from trainers.trial.kept_models import keeper
    from trainers.trial.workbench import Workbench

    _, record = copied.load()
    trial = record.trials["c1"]
    learned = learning(small, load(small), small.supervisor(trial.seed))
    bench = Workbench(learned.materials, ModelPool(small.strong.model, cache=small.cache_dir), small.engine)
    keep = keeper(copied.models / "c1")
    list(bench.train(trial.method, seed=trial.seed, split="test", rungs=(1.0,), keep=keep))
    monkeypatch.delattr(model, "train")
    done = export_model(copied, tmp_path / "out", QUIET, name="c1")
    assert (done.kept, done.agreement) == (True, 1.0)


def test_a_folder_that_is_not_empty_is_left_alone(finished: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ValueError, match="is not an empty directory"):
        export_model(finished, tmp_path, QUIET)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_other_data_than_the_run_had_is_named(copied: RunDirectory, small: RunConfig, tmp_path: Path) -> None:
    """The ledger as it would be had the task been another one."""
    lines = copied.ledger.read_text().splitlines()
    started = json.loads(lines[0])
    started["sources"]["digests"]["transfer.inputs"] = "another"
    copied.ledger.write_text("\n".join([json.dumps(started), *lines[1:]]) + "\n")
    with pytest.raises(ValueError, match=r"these have changed: transfer\.inputs \(toy\)"):
        export_model(copied, tmp_path / "out", QUIET)
    assert not (tmp_path / "out").exists()


def test_a_gang_is_refused_before_anything_is_loaded(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    gang = small.model_copy(update={"trial": small.trial.model_copy(update={"processes": 2})})
    (tmp_path / "run").mkdir()
    run = RunDirectory(tmp_path / "run")
    run.config.write_text(dump_config(gang))
    ledger = Ledger(run.ledger)
    ledger.append(RunStarted(run="run", config_sha256=gang.sha256, commit=""))
    ledger.close()
    monkeypatch.delattr(model, "load_sources")
    with pytest.raises(ValueError, match=r"trial\.processes 2: an export trains in one process"):
        export_model(run, tmp_path / "out", QUIET, name="naive")
