"""Real text that every installation has: which of two libraries a paragraph of documentation comes from.

    python -m benchmarks.docstrings --out FOLDER [--libraries pandas,scipy] [--rows 6000]

Writes NAME.train.jsonl.gz and NAME.test.jsonl.gz, lines of text and label (1: the second library), as
`benchmarks.table` and `benchmarks.real_text` read them. The text is that of the installed versions, read from
their sources and never imported; a paragraph that both have, or that names one of them, is left out.
"""

import argparse
import ast
import gzip
import inspect
import json
import random
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from search.cli.output import INPUT_MISTAKE, complain, stdout_for_json, write_json

LENGTHS = (40, 400)  # characters of a paragraph
NOT_PROSE = (">>>", "---", "===", "%(", "{", "::", ".. ")
TEST_SHARE = 0.35


def paragraphs(library: str) -> Iterator[str]:
    """The paragraphs of prose in a library's docstrings, those of its tests left out; in a fixed order."""
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        raise ValueError(f"--libraries: {library} is not installed: name two that `pip list` shows")
    folder = Path(spec.origin).parent
    for path in sorted(folder.rglob("*.py")):
        if "tests" not in path.relative_to(folder).parts:
            yield from _in_source(path.read_text(encoding="utf-8", errors="replace"))


def _in_source(source: str) -> Iterator[str]:
    try:
        parsed = ast.parse(source)
    except SyntaxError:  # of a newer Python
        return
    for node in ast.walk(parsed):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for paragraph in inspect.cleandoc(ast.get_docstring(node) or "").split("\n\n"):
                text = " ".join(paragraph.split())
                if LENGTHS[0] <= len(text) <= LENGTHS[1] and not any(mark in text for mark in NOT_PROSE):
                    yield text


def task(libraries: Sequence[str], rows: int, seed: int = 0) -> list[dict[str, object]]:
    """Lines of text and label, as many of either library, shuffled; ValueError where there are too few."""
    first, second = (dict.fromkeys(paragraphs(library)) for library in libraries)
    only = [
        [text for text in one if text not in other and not any(name in text.lower() for name in libraries)]
        for one, other in ((first, second), (second, first))
    ]
    rng, lines = random.Random(seed), list[dict[str, object]]()
    for label, (library, texts) in enumerate(zip(libraries, only, strict=True)):
        if len(texts) < rows // 2:
            raise ValueError(
                f"--rows {rows}: {library} has {len(texts)} paragraphs: ask for {2 * len(texts)}"
            )
        lines += [{"text": text, "label": label} for text in rng.sample(texts, rows // 2)]
    rng.shuffle(lines)
    return lines


def write(folder: Path, libraries: Sequence[str], rows: int) -> dict[str, object]:
    """Write both files; returns what they hold."""
    lines, name = task(libraries, rows), "_".join(libraries)
    tested = round(TEST_SHARE * len(lines))
    folder.mkdir(parents=True, exist_ok=True)
    for split, of in (("test", lines[:tested]), ("train", lines[tested:])):
        with gzip.open(folder / f"{name}.{split}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in of)
    return {"name": name, "train": len(lines) - tested, "test": tested}


@stdout_for_json()
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit 0 on success, 2 on a mistake in the input."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.docstrings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the two files")
    parser.add_argument("--libraries", default="pandas,scipy", help="two, separated by a comma")
    parser.add_argument("--rows", type=int, default=6000, help="of both files together")
    given = parser.parse_args(argv)
    libraries = given.libraries.split(",")
    try:
        if len(set(libraries)) != 2:
            raise ValueError(f"--libraries {given.libraries}: name two, separated by a comma")
        write_json(write(given.out, libraries, given.rows))
    except (OSError, ValueError) as error:
        return complain(str(error), INPUT_MISTAKE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
