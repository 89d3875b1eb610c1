"""Every module has its test file, and every test file its module."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "cluster", "search", "trainers")
LONGEST = 400  # lines of a test file

WITHOUT_TESTS = {
    "agents/advice/adviser.py": "a Protocol",
    "agents/claude/advice/aside.py": "what consultant.py and critic.py share; their tests run it",
    "agents/findings/proposer.py": "a Protocol",
    "search/engine/context.py": "holds the parts of a run, and does nothing",
    "search/tracking/__main__.py": "calls main of upload.py",
}
WITHOUT_A_MODULE = {
    "tests/agents/language/test_fuzz.py": "hostile answers, through reading, checking and sampling",
    "tests/benchmarks/table/test_search.py": "whole campaigns on a small table",
    "tests/benchmarks/test_stdout.py": "what all benchmarks write on stdout",
    "tests/cluster/test_manifests.py": "cluster/manifests/ holds no Python",
    "tests/cluster/test_nodes.py": "a campaign on several nodes",
    "tests/search/storage/test_taking_over.py": "runs in a bucket, and what others do to them there",
    "tests/search/test_agent_run.py": "campaigns with Claude",
    "tests/search/test_leaks.py": "what a trial's process can know of the labels",
    "tests/search/test_run.py": "the command line as a user runs it",
    "tests/test_architecture.py": "the order of all packages",
    "tests/test_configs.py": "configs/",
    "tests/test_docs.py": "README.md and docs/",
    "tests/test_imports.py": "what every package loads when it is imported",
    "tests/test_makefile.py": "the Makefile's install",
    "tests/test_mirrors.py": "this file",
    "tests/test_order.py": "the order of all tests",
    "tests/trainers/trial/test_any_method.py": "random methods through a whole trial",
    "tests/trainers/trial/test_pairs.py": "trials on pairs, in both orders",
    "tests/trainers/trial/test_pausing.py": "trials that pause or die, and go on",
}

MODULES = [str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
TESTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))


def home_of(module: str) -> str:
    """Where the tests of a module are."""
    path = Path("tests") / module
    return str(path.with_name(f"test_{path.stem.strip('_')}.py"))


def mirrored(test: str, modules: Iterable[str]) -> str | None:
    """The module that a test file is about: test_director_restarts.py is about director.py."""
    return about(test, {home_of(module): module for module in modules})


def about(test: str, files: Mapping[str, str]) -> str | None:
    """As `mirrored`, of the modules by the places of their tests."""
    words = Path(test).stem.split("_")
    names = ["_".join(words[:end]) for end in range(len(words), 1, -1)]
    return next(
        (files[found] for name in names if (found := str(Path(test).with_name(f"{name}.py"))) in files), None
    )


def test_every_module_has_its_test_file() -> None:
    asked = [module for module in MODULES if not module.endswith("__init__.py")]
    wanted = {module for module in asked if home_of(module) not in TESTS}
    assert wanted == set(WITHOUT_TESTS)


def test_every_test_file_has_its_module() -> None:
    modules = [*MODULES, *(str(path.relative_to(ROOT)) for path in (ROOT / "benchmarks").rglob("*.py"))]
    files = {home_of(module): module for module in modules}
    assert {test for test in TESTS if about(test, files) is None} == set(WITHOUT_A_MODULE)


def test_no_test_file_is_long() -> None:
    lines = {test: len((ROOT / test).read_text().splitlines()) for test in TESTS}
    assert {test: count for test, count in lines.items() if count > LONGEST} == {}


def test_the_lists_hold_nothing_that_is_gone() -> None:
    assert WITHOUT_TESTS.keys() <= set(MODULES)
    assert WITHOUT_A_MODULE.keys() <= set(TESTS)


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("search/policy/faults.py", "tests/search/policy/test_faults.py"),
        ("search/__main__.py", "tests/search/test_main.py"),
    ],
)
def test_where_tests_stand(module: str, test: str) -> None:
    assert home_of(module) == test
    assert mirrored(test, [module]) == module


def test_the_longest_name_that_fits_is_the_module() -> None:
    modules = ["a/b.py", "a/b_c.py", "z/b_c_d.py"]
    assert mirrored("tests/a/test_b_x.py", modules) == "a/b.py"
    assert mirrored("tests/a/test_b_c_d.py", modules) == "a/b_c.py"
    assert mirrored("tests/a/test_bc.py", modules) is None
