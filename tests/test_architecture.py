import ast
import importlib
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "cluster", "search", "trainers")
MAY_IMPORT = {
    "trainers": {"trainers"},
    "cluster": {"cluster"},
    "agents": {"agents", "trainers"},
    "search": {"search", "agents", "trainers", "cluster"},
}
ONLY_IN = {
    "ray": {"search", "cluster"},
    "optuna": {"search"},
    "anthropic": {"agents"},
    "deepspeed": {"trainers"},
}
LAZY = (ROOT / "trainers" / "lazy.py").read_text()
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """The names of all modules that a source imports, wherever in it, at once or at their first use."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="LazyModule"), args=[ast.Constant(value=str(module))]):
                yield module
            case ast.Call(func=ast.Name(id="LazyModule")):
                raise AssertionError(f"line {node.lineno}: a lazy import that cannot be read off")
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module
            case ast.ImportFrom():
                raise AssertionError(f"line {node.lineno}: a relative import; name the package")
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="__import__")):
                if source == LAZY:
                    continue  # the module whose name LazyModule was made with, which is read off there
                raise AssertionError(f"line {node.lineno}: an import that cannot be read off")


def broken_rules(package: str, source: str) -> list[str]:
    broken = []
    for module in imported(source):
        top = module.partition(".")[0]
        if (top in PACKAGES and top not in MAY_IMPORT[package]) or package not in ONLY_IN.get(top, PACKAGES):
            broken.append(f"{package} must not import {module}")
    return broken


def test_there_is_something_to_read() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(PACKAGES)


def of_each(paths: Iterable[Path], complaints: Callable[[str, str], list[str]]) -> dict[str, list[str]]:
    """What is wrong with each of these files, if anything; `complaints` is given its name and its text."""
    told = {name: complaints(name, (ROOT / name).read_text()) for name in map(relative, paths)}
    return {name: lines for name, lines in told.items() if lines}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_run_one_way() -> None:
    assert of_each(SOURCES, lambda name, source: broken_rules(name.partition("/")[0], source)) == {}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("trainers", "from agents.proposal import Branch"),
        ("trainers", "import search"),
        ("trainers", "def f():\n    import ray"),
        ("trainers", "ray = LazyModule('ray')"),
        ("trainers", "if TYPE_CHECKING:\n    from cluster import runtime"),
        ("agents", "from search.config import RunConfig"),
        ("agents", "import os, optuna.trial"),
        ("cluster", "from trainers.method import Method"),
        ("search", "import anthropic"),
        ("search", "from deepspeed import comm"),
    ],
)
def test_the_rules_are_noticed_when_broken(package: str, source: str) -> None:
    assert len(broken_rules(package, source)) == 1


@pytest.mark.parametrize(
    "source",
    ["from . import config", "importlib.import_module('x')", "__import__('x')", "LazyModule(name)"],
)
def test_imports_that_hide_are_noticed(source: str) -> None:
    with pytest.raises(AssertionError, match="line 1"):
        list(imported(source))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_those_of_this_repository(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT.resolve() / package / "__init__.py"


# Inside a package a room imports only rooms that stand before it, each line from left to right.
ROOMS = {
    "trainers": "lazy seeds printable component files scratch cache data gang models components training"
    " method trial",
    "agents": "language prices settings findings advice playbook claude",
    "search": "interrupt ledger scoring policy config storage studies engine steering workers output"
    " tracking preflight conclusion phases campaign export cli api __main__",
}
BESIDE = {  # rooms that stand side by side: neither imports the other
    ("search.workers", "search.output"),
    ("search.tracking", "search.output"),
    ("search.tracking", "search.studies"),
    ("search.tracking", "search.engine"),
    ("search.tracking", "search.workers"),
}
LARGEST = 15  # Python files in a folder


def room(module: str) -> str:
    """`search.policy.pruning` stands in the room `search.policy`."""
    return ".".join(module.split(".")[:2])


def upward(here: str, source: str) -> list[str]:
    """The imports of a module that break the order of the rooms of its package."""
    package, own = room(here).split(".")
    order = ROOMS[package].split()
    broken = []
    for module in imported(source):
        top, *rest = module.split(".")
        if top != package or rest[:1] == [own]:
            continue
        there = rest[0] if rest else ""
        beside = {(f"{top}.{own}", f"{top}.{there}"), (f"{top}.{there}", f"{top}.{own}")} & BESIDE
        if there not in order or order.index(there) > order.index(own) or beside:
            broken.append(f"{package}.{own} must not import {module}")
    return broken


def test_rooms_import_one_way() -> None:
    inside = [path for path in SOURCES if path.parent.name not in PACKAGES or path.stem != "__init__"]
    rooms = [path for path in inside if path.relative_to(ROOT).parts[0] in ROOMS]

    def complaints(name: str, source: str) -> list[str]:
        return upward(name.removesuffix(".py").replace("/", ".").removesuffix(".__init__"), source)

    assert len(rooms) > 300
    assert of_each(rooms, complaints) == {}


@pytest.mark.parametrize(
    ("here", "source"),
    [
        ("search.policy.pruning", "from search.engine.director import Director"),
        ("search.ledger.record", "import search.scoring.pgr"),
        ("search.output.live_view.progress", "from search.workers.tune import run_trials"),
        ("trainers.data.tokens", "from trainers.trial import workbench"),
        ("agents.language.space", "from agents.claude.tools import Tools"),
        ("agents.findings.round_proposal", "from agents.unheard_of import x"),
    ],
)
def test_an_import_upward_is_noticed(here: str, source: str) -> None:
    assert len(upward(here, source)) == 1


def test_every_room_is_in_the_order() -> None:
    for package, order in ROOMS.items():
        there = {path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or path.is_dir()}
        assert there - {"__init__", "__pycache__"} == set(order.split())


def test_no_folder_is_a_heap() -> None:
    folders = {
        path.parent for package in (*PACKAGES, "benchmarks") for path in (ROOT / package).rglob("*.py")
    }
    heaps = {str(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in heaps.items() if count > LARGEST} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_says_what_it_is_for(package: str) -> None:
    for path in (ROOT / package).rglob("__init__.py"):
        tree = ast.parse(path.read_text())
        assert len(ast.get_docstring(tree) or "") > 40, path
        if path == ROOT / "search/__init__.py":
            continue  # names the API, which tests/test_imports.py finds to load nothing before it is used
        assert len(tree.body) == 1, f"{path}: an __init__ that imports makes every reader pay"


LONGEST = 60  # lines of a function: a longer one is a list of steps


def long_functions(source: str) -> list[str]:
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions]
    return [f"{name}: {count} lines" for name, count in lines if count > LONGEST]


def test_no_function_is_longer_than_it_may_be() -> None:
    found = {str(path.relative_to(ROOT)): long_functions(path.read_text()) for path in SOURCES}
    assert {path: names for path, names in found.items() if names} == {}


def test_a_long_function_is_noticed() -> None:
    assert long_functions("async def f():\n" + "    pass\n" * LONGEST) == ["f: 61 lines"]
    assert long_functions("def f():\n" + "    pass\n" * (LONGEST - 1)) == []


def test_the_distribution_holds_exactly_these_packages() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = [
        path.parent.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    ]
    data = {"agents.claude": ["prompts/*.md"], "search.output.report": ["page/*"]}
    assert setuptools == {
        "packages": sorted(".".join(path.parts) for path in found),
        "package-data": data,
    }


# Tests and benchmarks share these packages, and import nothing else of each other.
SHARED = ("tests.servers", "tests.small_runs")
HELPERS = sorted(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def crossings(path: str, source: str) -> list[str]:
    """The imports by which a test depends on a benchmark that it does not test, or a benchmark on a test."""
    if path.startswith("tests/benchmarks/"):
        return []
    statements = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    broken = []
    for module in imported("\n".join(map(ast.unparse, statements))):
        shared = module in SHARED or module.startswith(tuple(f"{package}." for package in SHARED))
        if (
            module.partition(".")[0] == ("benchmarks" if path.startswith("tests/") else "tests")
            and not shared
        ):
            broken.append(f"{path} must not import {module}; move what both need to {SHARED[1]}")
    return broken


def test_tests_and_benchmarks_share_two_packages() -> None:
    assert len(HELPERS) > 400
    assert of_each(HELPERS, crossings) == {}


@pytest.mark.parametrize(
    ("path", "source", "count"),
    [
        ("tests/search/test_run.py", "from benchmarks.faults.runs import Site", 1),
        ("tests/small_runs/site.py", "import benchmarks", 1),
        ("tests/benchmarks/test_scale.py", "from benchmarks.scale.__main__ import main", 0),
        ("benchmarks/scale/__main__.py", "from tests.search.conftest import warm", 1),
        ("benchmarks/scale/__main__.py", "from tests import small_runs_of_mine", 1),
        ("benchmarks/scale/__main__.py", "from tests.small_runs.untrained import begun", 0),
        ("benchmarks/cluster/submit.py", "import tests.servers.s3", 0),
    ],
)
def test_a_crossing_between_tests_and_benchmarks_is_noticed(path: str, source: str, count: int) -> None:
    assert len(crossings(path, source)) == count


def test_no_output_lies_beside_the_packages() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = {name for name in listed.stdout.splitlines() if "/" not in name and not name.startswith(".")}
    assert files == {"LICENSE", "Makefile", "README.md", "constraints.txt", "pyproject.toml"}
