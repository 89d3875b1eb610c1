"""What README.md and docs/ tell people to type, to write and to look at is true."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer import TyperException

from search.config.load import load_config
from search.config.schema import RunConfig
from tests.command_line import parse
from tests.test_architecture import ROOMS
from trainers.components import losses
from trainers.components.formulas.labels import LabelFormula
from trainers.components.formulas.losses import LossFormula
from trainers.components.formulas.weights import WeightFormula
from trainers.method import Method

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACES = {"CONFIG": "configs/dev.yaml", "DIR": "runs/one", "ID": "one", "URL": "http://head:8265"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.M | re.S)


SAMPLES = [(page, text) for page in PAGES for text in blocks(page, "yaml")]
COMMANDS = [
    (page, line.strip())
    for page in PAGES
    for line in page.read_text().splitlines()
    if re.match(r" {4}python -m search ", line)
]


def without_notes(line: str) -> str:
    """A command without what it is for, which stands two spaces after it, and with its options taken."""
    command = re.split(r" {2,}|\||>|#", line)[0]
    command = command.replace("key=value ...", "seed=1").replace("[", "").replace("]", "")
    return re.sub(r"\b[A-Z]+\b", lambda word: PLACES.get(word[0], word[0]), command)


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=lambda one: getattr(one, "name", one))
def test_commands_parse(page: Path, line: str) -> None:
    assert len(COMMANDS) >= 5
    parse(shlex.split(without_notes(line))[3:])


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(TyperException, match="stauts"):
        parse(shlex.split(without_notes("python -m search stauts DIR"))[3:])


@pytest.mark.parametrize(("page", "text"), SAMPLES, ids=lambda one: getattr(one, "name", "sample"))
def test_settings_are_valid(page: Path, text: str) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "configs/dev.yaml").read_text())
    sample = yaml.safe_load(text)
    if "tasks" in sample:
        del settings["task"]
    RunConfig.model_validate(settings | sample)


def test_the_component_of_the_guide_works() -> None:
    source, _ = blocks(ROOT / "docs/extending.md", "python")
    names = dict(vars(losses))
    as_there = compile(source, "losses.py", "exec", flags=annotations.compiler_flag)
    exec(as_there, names)  # as if it stood in trainers/components/losses.py
    config = names["Focal"](gamma=2.0)
    logits = torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    value = names["focal"](config, torch.log_softmax(logits, -1), torch.tensor([1.0, 1.0]), 0.5)
    # p = 1/2: (1/2)² ln 2; p = 1/(1 + e⁻³) = 0.952574.
    assert value.tolist() == pytest.approx([0.25 * 0.693147, 0.047426**2 * 0.048587], rel=1e-3)


def test_the_formulas_of_the_guide_are_a_method() -> None:
    _, source = blocks(ROOT / "docs/extending.md", "python")
    kinds = (Method, LabelFormula, WeightFormula, LossFormula)
    method = eval(source, {kind.__name__: kind for kind in kinds})
    assert {getattr(method.plainest, slot).kind for slot in ("labels", "select", "loss")} == {"formula"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_linked_is_there(page: Path) -> None:
    text = page.read_text()
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:configs|docs|benchmarks|search|trainers|agents|cluster|tests)/[\w./-]+)`", text)
    missing = [one for one in linked if not (page.parent / one).exists()]
    assert missing + [one for one in named if not (ROOT / one).exists()] == []


def test_the_table_of_configs_names_them_all() -> None:
    named = re.findall(r"^\| `(configs/[\w-]+\.yaml)` \|", (ROOT / "README.md").read_text(), flags=re.M)
    assert {ROOT / one for one in named} == set((ROOT / "configs").glob("*.yaml"))
    for one in named:
        load_config(ROOT / one)


def test_make_targets_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M)
    for page in PAGES:
        assert set(re.findall(r"^ {4}make (\w+)", page.read_text(), flags=re.M)) <= set(targets)


def is_command(place: Path) -> bool:
    return place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()


def test_benchmarks_that_are_quoted_exist() -> None:
    quoted = {
        name for page in PAGES for name in re.findall(r"python -m benchmarks\.([\w.]+\w)", page.read_text())
    }
    assert quoted
    assert {name for name in quoted if not is_command(ROOT / "benchmarks" / name.replace(".", "/"))} == set()


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs/report.png").stat().st_size < 200_000


HOPS = re.findall(
    r"^(\d+)\. `([\w/]+\.py):([\w.]+)`", (ROOT / "docs/architecture.md").read_text(), flags=re.M
)


def test_the_path_of_one_number_is_short() -> None:
    assert [int(number) for number, _, _ in HOPS] == list(range(1, len(HOPS) + 1))
    assert 10 <= len(HOPS) <= 15


@pytest.mark.parametrize(("file", "name"), [hop[1:] for hop in HOPS], ids=lambda part: part)
def test_every_hop_is_there(file: str, name: str) -> None:
    scope: Any = ast.parse((ROOT / file).read_text())
    for part in name.split("."):
        found = [node for node in scope.body if getattr(node, "name", None) == part]
        assert len(found) == 1, f"{file} has no {name}"
        [scope] = found
    assert isinstance(scope, ast.FunctionDef)


def test_the_map_names_the_rooms_in_their_order() -> None:
    for package, order in ROOMS.items():
        line = next(
            line
            for line in (ROOT / "docs/architecture.md").read_text().splitlines()
            if line.startswith(f"- `{package}/`: ")
        )
        named = line.partition(": ")[2].split(", ")
        places = [order.split().index(room) for room in named]
        assert places == sorted(places)
