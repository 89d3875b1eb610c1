"""The command line as a user runs it: real processes, real Ray, real trainings, the offline task in small."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.findings.predictions import unpack
from search.__main__ import main
from search.config.load import load_config
from search.ledger.events import RungReached
from search.ledger.log import read_ledger
from search.ledger.record import Record
from tests.small_runs.settings import ONE_CPU, PRETRAIN_STEPS, REPO, SMALL
from tests.small_runs.whole import problems
from trainers.data.dataset import load_task

RESULT_KEYS = {
    "schema",
    "run",
    "config_sha256",
    "commit",
    "baselines",
    "data",
    "naive",
    "best",
    "finalists",
    "rounds",
    "branches",
    "trials",
    "cost",
    "agent",
    "grader_queries",
    "test_openings",
    "test_split",
    "sources",
    "code",
    "hidden",
    "tasks",
    "objective",
    "from_runs",
    "phases",
    "steered",
}
METHOD_KEYS = {"method", "accuracy", "accuracy_se", "pgr", "se", "ci95", "seeds", "split"}
METHOD_KEYS |= {"per_seed", "worst_seed", "collapses", "predictions"}
METHOD_KEYS |= {"search_pgr"}
FINALIST_KEYS = METHOD_KEYS | {
    "branch",
    "trial",
    "search_over_naive",
    "over_naive",
    "beats_naive_p",
    "sign_flip",
}
BASELINE_KEYS = {"weak_acc", "weak_se", "ceiling_acc", "ceiling_se", "gap", "gap_se", "seeds", "majority"}


def command(cache: Path, out: Path, *more: str) -> list[str]:
    settings = [part for one in [*SMALL, f"cache={cache}", *more] for part in ("--set", one)]
    return [sys.executable, "-m", "search", "run", "configs/dev.yaml", "--out", str(out), *settings]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(arguments: list[str]) -> tuple[int, str, str]:
    process = start(arguments)
    output, errors = process.communicate(timeout=580)
    return process.returncode, output, errors


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("one_cpu")
def test_a_run_ends_with_the_agreed_result_and_a_finished_run_is_not_run_again(
    warm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, errors = finish(command(warm, tmp_path / "run", "confirm.predictions=true"))
    assert code == 0, errors
    assert "Performance gap recovered on the test split" in output
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert set(result) == RESULT_KEYS
    assert set(result["naive"]) == METHOD_KEYS
    assert set(result["best"]) == FINALIST_KEYS
    assert set(result["baselines"]) == BASELINE_KEYS | {"weak_per_seed", "ceiling_per_seed"}
    config = load_config(tmp_path / "run/config.yaml")
    assert len(result["baselines"]["weak_per_seed"]) == config.supervisors
    truth = load_task(config.task).truth["test"]
    for one in (result["naive"], result["best"]):
        assert [seed["supervisor"] for seed in one["per_seed"]] == [2, 3]  # two taught the search
        assert [seed["accuracy"] for seed in one["per_seed"]] == [
            (unpack(packed, len(truth)) == truth).mean() for packed in one["predictions"]
        ]
    assert set(result["cost"]) == {
        "wall_s",
        "train_s",
        "saved_by_pruning_s",
        "usd",
        "unanswered_usd",
        "input_tokens",
        "output_tokens",
    }
    assert result["test_openings"] == 1
    assert result["grader_queries"]["test"] == (1 + len(result["finalists"])) * 2
    assert result["rounds"] >= 2
    assert {one["split"] for one in [result["naive"], *result["finalists"]]} == {"test"}
    assert problems(tmp_path / "run") == []
    replicates = sum(
        trial.startswith("r") for trial in Record.of(read_ledger(tmp_path / "run/ledger.jsonl")).trials
    )
    assert replicates in (3, 4)  # naive twice, and two methods once, if two that are unlike completed
    assert result["naive"]["search_pgr"] is not None
    assert result["best"]["search_over_naive"] is not None
    confirmed = (1 + len(result["finalists"])) * 2
    assert sum(result["trials"].values()) == 8 + replicates + confirmed
    assert f"PGR {result['best']['pgr']:.3f}" in (tmp_path / "run/report.html").read_text()
    rungs = [e for e in read_ledger(tmp_path / "run/ledger.jsonl") if isinstance(e, RungReached)]
    assert {rung.engine for rung in rungs} - {""} == {"torch"}  # "" where a training went on
    events = [event.event for event in read_ledger(tmp_path / "run/ledger.jsonl")]
    assert events.count("test_opened") == 1
    assert events.index("test_opened") > max(i for i, e in enumerate(events) if e == "trial_ended")

    before = (tmp_path / "run/ledger.jsonl").read_bytes()
    assert main(["resume", str(tmp_path / "run")]) == 0
    assert "is finished" in capsys.readouterr().out
    assert (tmp_path / "run/ledger.jsonl").read_bytes() == before

    (tmp_path / "run/result.json").write_bytes(b"")
    journal = (tmp_path / "run/optuna.log").read_bytes().splitlines(keepends=True)
    journal[5] = b"\0" * (len(journal[5]) - 1) + b"\n"
    (tmp_path / "run/optuna.log").write_bytes(b"".join(journal))
    assert main(["resume", str(tmp_path / "run")]) == 0
    again = json.loads((tmp_path / "run/result.json").read_text())
    result["cost"].pop("wall_s"), again["cost"].pop("wall_s")  # writing it anew took its time
    assert again == result
    assert problems(tmp_path / "run") == []


def only_line(code: int, output: str, errors: str) -> str:
    """The one line that a command writes when it is refused."""
    assert code == 2, output + errors
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, errors
    assert "Traceback" not in output + errors
    return lines[0]


Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    """refused(override, ...): the line that `run configs/dev.yaml` with these settings ends on, in here."""

    def run(*overrides: str, config: str = "configs/dev.yaml") -> str:
        settings = [part for one in overrides for part in ("--set", one)]
        code = main(["run", str(REPO / config), "--out", str(tmp_path / "run"), *settings])
        return only_line(code, *capfd.readouterr())

    return run


def test_a_mistake_in_the_config_is_one_line(tmp_path: Path, refused: Refused) -> None:
    assert "search.trails is not a setting; did you mean trials?" in only_line(
        *finish(command(tmp_path / "cache", tmp_path / "run", "search.trails=3"))
    )
    assert "search.trials" in (line := refused("search.trials=many"))
    assert "'many'" in line
    assert "there is no such file" in refused(config="configs/nowhere.yaml")


def test_an_out_with_other_files_is_refused_and_kept(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").write_text("mine")
    assert "is not an empty directory" in refused()
    assert (tmp_path / "run/thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("rows", "sizes", "message"),
    [
        ('{"text": "t%d", "verdict": 1}', "4, 4, 4, 4", "label"),
        ('{"text": "t%d", "label": 3}', "4, 4, 4, 4", "3"),
        ('{"text": "t%d", "label": 1}', "400, 400, 400, 400", "1600"),
    ],
)
def test_a_mistake_in_the_data_is_one_line(tmp_path: Path, rows: str, sizes: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_task(load_config(REPO / "configs/dev.yaml", [data_set(tmp_path, rows, sizes)]).task)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "data.jsonl") in str(caught.value)


def data_set(folder: Path, rows: str, sizes: str) -> str:
    """The setting for a task of forty rows."""
    data = folder / "data.jsonl"
    data.write_text("".join(rows % i + "\n" for i in range(40)))
    names = ("weak_train", "transfer", "search", "test")
    splits = ", ".join(f"{name}: {size}" for name, size in zip(names, sizes.split(", "), strict=True))
    return f"task={{kind: dataset, path: {data}, splits: {{{splits}}}}}"


@pytest.mark.slow
def test_a_mistake_in_the_data_is_a_mistake_in_the_input(tmp_path: Path, refused: Refused) -> None:
    line = refused(data_set(tmp_path, '{"text": "t%d", "label": 3}', "4, 4, 4, 4"))
    assert "must be 0 or 1, got 3" in line
    assert str(tmp_path / "data.jsonl") in line


def test_a_database_that_is_not_there_is_named_before_any_baseline_is_trained(
    tmp_path: Path, refused: Refused
) -> None:
    line = refused("optuna.storage=sqlite:////nowhere/at.db", f"cache={tmp_path / 'cache'}")
    assert "optuna.storage: sqlite:////nowhere/at.db cannot be opened: " in line
    assert "leave the setting out" in line
    assert not (tmp_path / "cache").exists()  # of models and baselines
    assert not (tmp_path / "run").exists()


@pytest.fixture
def one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*ONE_CPU)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("one_cpu")
def test_no_gap_is_one_line(cache: Path, tmp_path: Path, refused: Refused) -> None:
    # The roles exchanged: a pretrained supervisor over an untrained student.
    line = refused(
        *SMALL,
        f"cache={cache}",
        f"weak.model={{kind: toy, size: strong, pretrain_steps: {PRETRAIN_STEPS}}}",
        "strong.model={kind: toy, size: weak}",
        "weak.optim.lr=0.001",
    )
    assert "no gap to recover" in line
    assert "other settings trains only the baselines that these change" in line
    assert not (tmp_path / "run").exists(), "a refused run leaves nothing but what is in the cache"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("one_cpu", "shared")  # the config names a file and a model in there
def test_real_text_and_real_models(
    minilm: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        f"weak.model.path={minilm}",
        f"strong.model.path={minilm}",
        f"cache={cache}",
        "task.splits={weak_train: 200, transfer: 240, search: 120, test: 200}",
        "strong.model.max_length=24",
        "strong.optim.batch_size=16",
        "baselines={seeds: 2, own_rows: 50, allow_unclear_gap: true}",
        "search.trials=2",
        "search.round_trials=2",
        "replication={methods: 1, seeds: 1}",
        "confirm={finalists: 1, seeds: 2}",
        "trial={cpus: 1, concurrent: 1}",
        "tracking.kind=off",
    ]
    sets = [part for one in settings for part in ("--set", one)]
    assert main(["run", str(REPO / "configs/sst2.yaml"), "--out", str(tmp_path / "run"), *sets]) == 0
    assert "naive" in capsys.readouterr().out
    result = json.loads((tmp_path / "run/result.json").read_text())
    # Fifty reviews teach a bag of words little; the pretrained encoder is clearly above it.
    assert result["baselines"]["weak_acc"] + 0.05 < result["baselines"]["ceiling_acc"]


def test_help_names_every_command() -> None:
    code, output, _ = finish([sys.executable, "-m", "search", "--help"])
    assert code == 0
    for name in ("run", "resume", "propose", "baselines", "status"):
        assert name in output
