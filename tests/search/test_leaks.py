"""What a trial's process could know of the labels it is graded by, and who reads the test labels when."""

import io
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from search.campaign import run_campaign
from search.config.load import load_config
from search.config.schema import RunConfig
from search.ledger.log import read_ledger
from search.scoring.grader import TestGrades
from search.scoring.pgr import Baselines
from search.storage.openings import FOLDER
from search.storage.run_directory import RunDirectory, new_run
from search.workers.remote_grader import RemoteGrader
from tests.small_runs.leak_search import PLACES, Search, SearchedRunner, checksum, decoy
from tests.small_runs.settings import REPO, SMALL
from trainers.data.dataset import load_task
from trainers.data.examples import Labels, Task

TINY = [
    "search.trials=2",
    "search.round_trials=2",
    "replication={methods: 1, seeds: 1}",
    "confirm.finalists=1",
    "trial={cpus: 1, concurrent: 1}",
    "tracking.kind=off",
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


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished run, whose trials were searched for labels; told: where they left what they found."""

    run: RunDirectory
    config: RunConfig
    told: Path
    outcome: dict[str, Any]

    def again(self, *lost: str) -> tuple[str, dict[str, Any]]:
        """Lose the outcome, the end and these events, and go on: what is printed, and the outcome."""
        self.run.result.unlink()
        lines = self.run.ledger.read_text().splitlines(keepends=True)
        gone = [f'"event":"{event}"' for event in ("finished", *lost)]
        kept = [line for line in lines if not any(event in line for event in gone)]
        self.run.ledger.write_text("".join(kept))
        return campaign(self.run), json.loads(self.run.result.read_text())


@pytest.fixture(scope="module")
def finished(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    # A cache of its own, in which no other test opens the test split.
    shutil.copytree(warm, folder / "cache", ignore=lambda _, names: [n for n in names if n == FOLDER])
    told = ["trial.environment=[LEAK_CHECKSUMS]"]
    config = load_config(REPO / "configs/dev.yaml", [*SMALL, *TINY, *told, f"cache={folder / 'cache'}"])
    truth = load_task(config.task).truth
    place = folder / "told" / "checksums.json"
    place.parent.mkdir()
    sizes = sorted({len(labels) for labels in truth.values()})
    place.write_text(json.dumps({"sizes": sizes, "truth": {checksum(truth[name]): name for name in truth}}))
    run = new_run(folder / "run", config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAK_CHECKSUMS", str(place))
        patch.setattr("search.workers.tune.TrialRunner", SearchedRunner)
        printed = campaign(run)
    assert "the test split has been opened once, by run" in printed
    return Finished(run=run, config=config, told=place, outcome=json.loads(run.result.read_text()))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_trial_holds_ground_truth_and_the_test_labels_are_read_once(finished: Finished) -> None:
    run, config, place = finished.run, finished.config, finished.told.parent.parent
    truth = load_task(config.task).truth
    findings = [json.loads(file.read_text()) for file in finished.told.parent.glob("found-*.json")]
    assert findings
    for finding in findings:
        assert finding["found"] == []
        assert finding["control"] == sorted(PLACES)
        opened = [Path(path) for path in finding["opened"] if Path(path).is_file()]
        assert opened
        ours = [path for path in opened if place in path.parents or config.cache_dir in path.parents]
        assert [path for path in ours for labels in truth.values() if holds(path, labels)] == []
        assert not {run.ledger, run.result} & set(opened)

    events = read_ledger(run.ledger)
    [opening] = [event for event in events if event.event == "test_opened"]
    assert opening.queries == 2 * config.confirm.seeds  # naive and one finalist
    assert all(event.event == "finished" for event in events[events.index(opening) + 1 :])


@pytest.mark.slow
def test_digests_are_kept_and_their_salt_is_not_told(finished: Finished) -> None:
    started = read_ledger(finished.run.ledger)[0]
    assert started.event == "run_started"
    assert started.sources is not None
    assert finished.outcome["sources"] == {"digests": started.sources.digests, "commits": {}}
    assert len(started.sources.digests) == 4 * 2 + 2
    assert finished.outcome["code"] == [started.code]
    for told in (finished.run.result, finished.run.report):
        assert started.sources.salt not in told.read_text()
        assert all(value in told.read_text() for value in started.sources.digests.values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_ended_between_opening_and_outcome_opens_again_and_says_so(finished: Finished) -> None:
    first, run = finished.outcome, finished.run
    printed, again = finished.again()
    assert "the test split of this run has been opened before" in printed
    assert "the test split has been opened 2 times, by run (2 times)" in printed
    assert (first["test_openings"], again["test_openings"]) == (1, 2)
    assert again["grader_queries"]["test"] == 2 * first["grader_queries"]["test"]
    assert again["best"] == first["best"]
    assert "he test split has been opened 2 times, by run (2 times)" in run.report.read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_gap_on_the_test_split_is_an_outcome_and_a_lost_line_hides_no_opening(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, first, open_test = finished.run, finished.outcome, RemoteGrader.open_test

    def turned(grader: RemoteGrader, predictions: Any) -> TestGrades:
        grades = open_test(grader, predictions)
        floors = Baselines(weak=grades.baselines.ceiling, ceiling=grades.baselines.weak)
        right = grades.baseline_scores
        scores = replace(right, weak=right.ceiling, ceiling=right.weak, gap=-right.gap)
        return replace(grades, baselines=floors, baseline_scores=scores)

    monkeypatch.setattr(RemoteGrader, "open_test", turned)
    before = len(list((finished.config.cache_dir / FOLDER).iterdir()))
    printed, outcome = finished.again("test_opened")
    assert "examples of this test split have been opened before, by run" in printed
    assert outcome["test_openings"] == 1
    assert (outcome["test_split"]["opened"], len(outcome["test_split"]["by"])) == (before + 1, before + 1)
    assert {opening["shared"] for opening in outcome["test_split"]["by"]} == {400}

    assert "there is no gap to recover on the test split, so no PGR: accuracies are compared" in printed
    assert outcome["baselines"]["gap"] < 0
    for row in (outcome["naive"], outcome["best"], outcome["best"]["over_naive"]):
        assert (row["pgr"], row["se"], row["ci95"]) == (None, None, None)
        assert row["accuracy_se"] >= 0
    floors = first["baselines"]
    accuracy = floors["weak_acc"] + first["naive"]["pgr"] * floors["gap"]
    assert outcome["naive"]["accuracy"] == first["naive"]["accuracy"] == pytest.approx(accuracy)
    assert 0 <= outcome["best"]["beats_naive_p"] <= 1
    assert "The test split has no gap to recover" in run.report.read_text()
    ledger = run.ledger.read_bytes()
    assert "is finished" in campaign(run)
    assert run.ledger.read_bytes() == ledger


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_other_ground_truth_is_refused_before_anything_is_trained(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flipped(config: Any) -> Task:
        task = load_task(config)
        return replace(task, truth=task.truth | {"search": 1 - task.truth["search"]})

    monkeypatch.setattr("search.workers.loading.load_task", flipped)
    ledger = finished.run.ledger.read_bytes()
    finished.run.result.rename(finished.run.path / "kept")
    try:
        with pytest.raises(ValueError, match=r"these have changed: search.truth \(toy\); put them back"):
            campaign(finished.run)
    finally:
        (finished.run.path / "kept").rename(finished.run.result)
    assert finished.run.ledger.read_bytes() == ledger
