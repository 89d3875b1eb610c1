"""How large the parts of the code are, and how they depend on each other.

    python -m benchmarks.structure [ROOT]

Of the four packages: files a folder, lines a file and a function (from `def` to its last line, without
decorators). Of search/: its rooms (files and folders in it), the imports between them (arrows), and its
floors, the longest chain of rooms that each import the next. Prints JSON. Reads sources only, so ROOT may be
any checkout.
"""

import argparse
import ast
import json
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

PACKAGES = ("agents", "cluster", "search", "trainers")


def sources(root: Path) -> dict[Path, str]:
    """Every source of the packages, by its path below the root."""
    files = (path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return {path.relative_to(root): path.read_text() for path in sorted(files)}


def function_lines(texts: dict[Path, str]) -> list[int]:
    """Lines of every function, rising."""
    functions = (
        node
        for text in texts.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    )
    return sorted((node.end_lineno or 0) - node.lineno + 1 for node in functions)


def room_imports(texts: dict[Path, str], package: str) -> dict[str, set[str]]:
    """Of each room of a package the other rooms of it that it imports."""
    rooms: dict[str, set[str]] = {}
    for path, text in texts.items():
        if path.parts[0] != package or (len(path.parts) == 2 and path.stem == "__init__"):
            continue
        here = Path(path.parts[1]).stem
        rooms.setdefault(here, set())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
                _, *rest = (node.module or "").split(".")
                rooms[here] |= {rest[0]} if rest else {alias.name for alias in node.names}
    return {here: there & rooms.keys() - {here} for here, there in rooms.items()}


def floors(imports: dict[str, set[str]]) -> int:
    """The number of rooms in the longest chain; raises RecursionError where imports run in a circle."""

    @cache
    def height(room: str) -> int:
        return 1 + max((height(below) for below in imports[room]), default=0)

    return max(map(height, imports))


def measured(root: Path) -> dict[str, Any]:
    """All figures of a checkout."""
    texts = sources(root)
    folders = Counter(str(path.parent) for path in texts)
    lines = {str(path): len(text.splitlines()) for path, text in texts.items()}
    functions = function_lines(texts)
    imports = room_imports(texts, "search")
    largest = max(lines, key=lambda path: lines[path])
    return {
        "files": len(texts),
        "folders": len(folders),
        "largest_folder": list(folders.most_common(1)[0]),
        "file_lines": {"median": median(lines.values()), "largest": [largest, lines[largest]]},
        "function_lines": {
            "median": median(functions),
            "p90": functions[int(0.9 * len(functions))],
            "max": functions[-1],
        },
        "search": {
            "rooms": len(imports),
            "arrows": sum(map(len, imports.values())),
            "floors": floors(imports),
        },
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, nargs="?", default=Path(__file__).parents[1], metavar="ROOT")
    print(json.dumps(measured(parser.parse_args().root), indent=2))


if __name__ == "__main__":
    main()
