from pathlib import Path

from benchmarks.structure import measured


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_figures_of_a_small_checkout(tmp_path: Path) -> None:
    write(tmp_path, "search/__init__.py", '"""Many trials."""\n')
    write(tmp_path, "search/engine/a.py", "from search.ledger.b import f\n\n\ndef g():\n    return f()\n")
    write(tmp_path, "search/ledger/b.py", "@property\ndef f():\n    x = 1\n    return x\n")
    write(tmp_path, "search/ledger/c.py", "import json\n")
    write(tmp_path, "search/run.py", "from search import engine\nfrom search.ledger import b\n")
    figures = measured(tmp_path)
    assert (figures["files"], figures["folders"]) == (5, 3)
    assert figures["largest_folder"] == ["search", 2]
    assert figures["file_lines"] == {"median": 2, "largest": ["search/engine/a.py", 5]}
    assert figures["function_lines"] == {"median": 2.5, "p90": 3, "max": 3}
    # run -> engine -> ledger, and run -> ledger
    assert figures["search"] == {"rooms": 3, "arrows": 3, "floors": 3}
