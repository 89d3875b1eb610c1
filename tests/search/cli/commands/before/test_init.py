import json
import re
from pathlib import Path

import pytest

from search.__main__ import main
from search.config.load import load_config


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "reviews.csv"
    lines = [f"words of review {i},{i % 2}" for i in range(200)]
    path.write_text("\n".join(["review,liked", *lines]) + "\n")
    return path


def test_a_config_that_passes_its_check(
    reviews: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(shared / "models/stories260K")
    words = ["init", "--data", "reviews.csv", "--weak", "bag_of_words", "--strong", model, "--quick"]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert output.startswith("wrote reviews.yaml\n")
    assert "weak_train 44, transfer 88, search 24, test 44" in output
    assert output.endswith(", then python -m search run reviews.yaml\n")
    config = load_config(Path("reviews.yaml"))
    assert config.weak.student.kind == "bag_of_words"
    assert main(words) == 2
    assert "reviews.yaml: is there already; name another file with --out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_price_is_asked_of_the_check_and_refused_without_its_times(
    reviews: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(shared / "models/stories260K")
    words = ["init", "--data", "reviews.csv", "--weak", "bag_of_words", "--strong", model]
    words += ["--usd-per-gpu-hour", "3.5"]
    assert main([*words, "--quick"]) == 2
    assert "--usd-per-gpu-hour 3.5 needs the seconds that --quick leaves out" in capsys.readouterr().err
    assert not Path("reviews.yaml").exists()
    assert main(words) == 0
    assert re.search(r"GPU-hours: .*, \d+\.\d\d dollars", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "init: the data file is not named: say it with --data"),
        (["--data", "reviews.csv"], "init: the weak model is not named: say it with --weak, a hub id"),
        (["--data", "reviews.csv", "--weak", "m"], "init: the strong model is not named"),
        (["--data", "no.csv", "--weak", "m", "--strong", "m"], "data file 'no.csv' is not there"),
        (
            ["--data", "two.jsonl", "--weak", "m", "--strong", "m"],
            "Which field of two.jsonl holds the label?",
        ),
        (
            ["--data", "same.csv", "--weak", "m", "--strong", "m"],
            "same.csv: every value of liked is '1', and a label needs two classes: add rows of the other",
        ),
    ],
)
def test_without_a_terminal_nothing_is_asked(
    words: list[str], line: str, reviews: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"words": f"some {i}", "a": i % 2, "b": i % 3} for i in range(90)]
    Path("two.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("same.csv").write_text("review,liked\n" + "".join(f"words of review {i},1\n" for i in range(90)))
    assert main(["init", *words]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: {line}")
    assert errors.count("\n") == 1
    assert not list(reviews.parent.glob("*.yaml"))


def test_a_terminal_is_asked(
    reviews: Path, shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(shared / "models/stories260K")
    answers = iter(["reviews.csv", model, "bag_of_words"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: next(answers))
    assert main(["init", "--quick"]) == 0
    assert "wrote reviews.yaml" in capsys.readouterr().out
