from pathlib import Path

import pytest

from search.__main__ import main
from search.cli.settings_page import page
from search.config.fields import groups

PAGE = Path(__file__).parents[3] / "docs/settings.md"


def test_the_reference_is_that_of_the_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--markdown"]) == 0
    made = capsys.readouterr().out
    assert PAGE.read_text() == made, "python -m search settings --markdown > docs/settings.md"


def test_a_class_that_stands_in_two_places_is_described_once() -> None:
    text = page(groups())
    named = ("weak.optim", "strong.optim", "tasks[].weak.optim", "tasks[].strong.optim")
    assert text.count(f"## {', '.join(f'`{one}`' for one in named)}, `hidden[].weak.optim`") == 1
    assert text.count("| `warmup` |") == 1


def test_tables_are_whole() -> None:
    for line in page(groups()).replace(r"\|", "").splitlines():
        assert not line.startswith("|") or line.count("|") == 5


def test_a_row_says_default_bounds_and_meaning() -> None:
    rows = page(groups()).splitlines()
    assert "| `trials` | required | 1 to 100000 | Methods to try. |" in rows
    assert any(row.startswith("| `doubt` | `0.25` | above 0, at most 0.5 | A trial outside") for row in rows)
    assert any(row.startswith("| `pruning` |  | group of settings | When a trial") for row in rows)
