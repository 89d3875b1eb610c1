import ast
import importlib
import tomllib
from collections.abc import Iterator
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
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """The names of all modules that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module
            case ast.ImportFrom():
                raise AssertionError(f"line {node.lineno}: a relative import; name the package")
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="__import__")):
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


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    assert broken_rules(path.relative_to(ROOT).parts[0], path.read_text()) == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("trainers", "from agents.proposal import Branch"),
        ("trainers", "import search"),
        ("trainers", "def f():\n    import ray"),
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
    "source", ["from . import config", "importlib.import_module('x')", "__import__('x')"]
)
def test_imports_that_hide_are_noticed(source: str) -> None:
    with pytest.raises(AssertionError, match="line 1"):
        list(imported(source))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_those_of_this_repository(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT.resolve() / package / "__init__.py"


def test_the_distribution_holds_exactly_these_packages() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    data = {"agents": ["prompts/*.md"], "search": ["page/*"]}
    assert setuptools == {"packages": list(PACKAGES), "package-data": data}
