import gzip
import json
from pathlib import Path

import pytest

from benchmarks.docstrings import main, paragraphs, task

SOURCE = '''"""A reader of {fruit} from the lines of a file.

>>> read("numbers.txt") of a file that is not there at all

Whoever names {name} gives the answer away.
"""

def read():
    """Read {fruit} that were written before, one a line, in order.

    A paragraph that both of the libraries have word for word.

    Short.
    """
'''


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two packages of two paragraphs of their own each, and one that both have."""
    for name in ("apples_doc", "pears_doc"):
        folder = tmp_path / "site" / name
        (folder / "tests").mkdir(parents=True)
        (folder / "newer.py").write_text("def f[T: int](a) -> 'no Python that runs this':  (")
        (folder / "__init__.py").write_text(SOURCE.format(name=name, fruit=name.split("_")[0]))
        (folder / "tests" / "test_it.py").write_text(
            '"""What a test says of itself is no documentation here."""'
        )
    monkeypatch.syspath_prepend(tmp_path / "site")
    return ["apples_doc", "pears_doc"]


def test_paragraphs_are_prose_of_a_length(libraries: list[str]) -> None:
    assert list(paragraphs("apples_doc")) == [
        "A reader of apples from the lines of a file.",
        "Whoever names apples_doc gives the answer away.",
        "Read apples that were written before, one a line, in order.",
        "A paragraph that both of the libraries have word for word.",
    ]


def test_a_task_has_as_many_of_either_and_nothing_that_gives_the_answer_away(libraries: list[str]) -> None:
    lines = task(libraries, 4)
    assert sorted((line["label"], "pears" in str(line["text"])) for line in lines) == [
        (0, False),
        (0, False),
        (1, True),
        (1, True),
    ]
    assert not any("both of the libraries" in str(line["text"]) for line in lines)
    assert not any("_doc" in str(line["text"]) for line in lines)
    assert task(libraries, 4) == lines


def test_two_files_are_written(
    libraries: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "out"), "--libraries", ",".join(libraries), "--rows", "4"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "apples_doc_pears_doc", "train": 3, "test": 1}
    with gzip.open(tmp_path / "out" / "apples_doc_pears_doc.train.jsonl.gz", "rt") as file:
        assert len(file.readlines()) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--libraries", "pandas"], "name two, separated by a comma"),
        (["--libraries", "pandas,not_there_at_all"], "not_there_at_all is not installed"),
        (["--libraries", "apples_doc,pears_doc"], "apples_doc has 2 paragraphs: ask for 4"),
    ],
)
def test_a_mistake_is_one_line(
    options: list[str], message: str, libraries: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "out"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()
