"""What a trial's process could know of the labels it is graded by, and who reads the test labels when."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from search.campaign import run_campaign
from search.config.load import load_config
from search.config.schema import RunConfig
from search.ledger.log import read_ledger
from search.storage.run_directory import RunDirectory, new_run
from tests.small_runs.leak_search import PLACES, Search, SearchedRunner, checksum, decoy
from tests.small_runs.settings import REPO, SMALL
from trainers.data.dataset import load_task
from trainers.data.examples import Labels

TINY = [
    "search.trials=2",
    "search.round_trials=2",
    "replication={methods: 1, seeds: 1}",
    "confirm.finalists=1",
]


@pytest.mark.parametrize(
    "spelling",
    [
        lambda labels: labels.astype(np.int64),
        lambda labels: labels.astype(np.float32)[None],
        lambda labels: labels.tolist(),
        lambda labels: np.packbits(labels).tobytes(),
        lambda labels: np.packbits(labels).tobytes().hex(),
        lambda labels: "".join(map(str, labels)),
        lambda labels: 1 - labels,
    ],
)
def test_the_search_reads_every_spelling(spelling: object) -> None:
    labels = decoy("here", 40)
    search = Search([40], {checksum(labels): "truth"})
    search.look(spelling(labels))
    assert search.found == {"truth"}


def test_the_search_is_not_taken_in() -> None:
    labels = decoy("here", 40)
    search = Search([40], {checksum(labels): "truth"})
    other = labels.copy()
    other[7] = 1 - other[7]
    for value in (other, labels[:39], labels * 0.5, "0" * 40, b"12345", [None] * 40):
        search.look(value)
    assert search.found == set()


def holds(file: Path, labels: Labels) -> bool:
    """Whether a file spells the labels, as an archive of arrays or as they are."""
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            return any(
                array.shape[-1:] == labels.shape
                and (array.reshape(-1, len(labels)) == labels).all(axis=1).any()
                for array in arrays.values()
            )
    content = file.read_bytes()
    spellings = [labels.astype(kind).tobytes() for kind in (np.int8, np.int64, np.float32)]
    packed = np.packbits(labels).tobytes()
    return any(spelling in content for spelling in [*spellings, packed, packed.hex().encode()])


def test_a_file_that_holds_labels_is_seen(tmp_path: Path) -> None:
    labels = decoy("file", 40)
    np.savez_compressed(tmp_path / "a.npz", labels=labels)
    (tmp_path / "b.json").write_text(json.dumps({"labels": np.packbits(labels).tobytes().hex()}))
    (tmp_path / "c.txt").write_text("nothing")
    assert [holds(tmp_path / name, labels) for name in ("a.npz", "b.json", "c.txt")] == [True, True, False]


def campaign(run: RunDirectory) -> str:
    """Run or go on with a campaign in this process; what it prints."""
    printed = io.StringIO()
    run_campaign(run, Console(file=printed, width=200))
    return printed.getvalue()


@pytest.fixture
def config(warm: Path) -> RunConfig:
    told = "trial.environment=[LEAK_CHECKSUMS]"
    return load_config(REPO / "configs/dev.yaml", [*SMALL, *TINY, told, f"cache={warm}"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_trial_holds_ground_truth_and_the_test_labels_are_read_once(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = load_task(config.task).truth
    told = tmp_path / "told" / "checksums.json"
    told.parent.mkdir()
    sizes = sorted({len(labels) for labels in truth.values()})
    told.write_text(json.dumps({"sizes": sizes, "truth": {checksum(truth[name]): name for name in truth}}))
    monkeypatch.setenv("LEAK_CHECKSUMS", str(told))
    monkeypatch.setattr("search.workers.tune.TrialRunner", SearchedRunner)
    run = new_run(tmp_path / "run", config)
    campaign(run)

    findings = [json.loads(file.read_text()) for file in told.parent.glob("found-*.json")]
    assert findings
    for finding in findings:
        assert finding["found"] == []
        assert finding["control"] == sorted(PLACES)
        opened = [Path(path) for path in finding["opened"] if Path(path).is_file()]
        assert opened
        ours = [path for path in opened if tmp_path in path.parents or config.cache_dir in path.parents]
        assert [path for path in ours for labels in truth.values() if holds(path, labels)] == []
        assert not {run.ledger, run.result} & set(opened)

    events = read_ledger(run.ledger)
    [opening] = [event for event in events if event.event == "test_opened"]
    assert opening.queries == 2 * config.confirm.seeds  # naive and one finalist
    assert all(event.event == "finished" for event in events[events.index(opening) + 1 :])

    # An outcome that was lost is made again: the test split is opened another time, and it says so.
    first = json.loads(run.result.read_text())
    run.result.unlink()
    assert "the test split of this run has been opened before" in campaign(run)
    again = json.loads(run.result.read_text())
    assert (first["test_openings"], again["test_openings"]) == (1, 2)
    assert again["grader_queries"]["test"] == 2 * first["grader_queries"]["test"]
    assert again["best"] == first["best"]
