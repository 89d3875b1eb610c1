"""Which tests check each component and published method, and whether random methods train.

    python -m benchmarks.agent.catalogue [--random 100] [--seed 0]

A component counts as checked by a test function that names its class, in the test file that mirrors its
source (components/test_losses.py for components/losses.py); tests that only walk the whole registry name no
class and don't count. --random N draws methods uniformly over the catalogue's bounds until N of those that
validate have been trained for a few steps on the toy task, at random weights; a method that raises, or
predicts what is no probability, has failed and is listed with its cause. Each of the five published rungs
stands with the Method that says it, the playbook's idea and the tests. Prints JSON, and tables on stderr.
"""

import argparse
import ast
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from benchmarks.agent.published import ladder, training_tests
from search.cli.output import stdout_for_json, write_json
from tests.small_runs.random_methods import draw_method
from trainers.data.settings import ToyTask
from trainers.data.toy_task import load_toy
from trainers.method import SLOTS, Method
from trainers.models.pool import ModelPool
from trainers.models.prompts import ask, render
from trainers.models.settings import ToyModel
from trainers.training.deepspeed_engine import warm_up
from trainers.training.settings import EngineConfig
from trainers.trial.workbench import Intermediate, Materials, Workbench

TESTS = Path(__file__).parents[2] / "tests" / "trainers" / "components"
RUNGS = (1 / 9, 1 / 3, 1.0)
EXAMPLES = 32


def coverage(tests: Path = TESTS) -> list[dict[str, Any]]:
    """For every component its slot, kind, test file and the names of the tests in it that check it."""
    rows = []
    for slot, components in SLOTS.items():
        for kind, component in components.items():
            *folders, module = component.__module__.removeprefix("trainers.components.").split(".")
            file = tests.joinpath(*folders, f"test_{module}.py")
            found = naming_tests(file.read_text(), component.__name__) if file.is_file() else []
            rows.append(
                {"slot": slot, "component": kind, "file": str(file.relative_to(tests)), "tests": found}
            )
    return rows


def naming_tests(source: str, name: str) -> list[str]:
    """The test functions of a source that name something, in their bodies or in their parameters."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return [
        function.name
        for function in functions
        if function.name.startswith("test_")
        and any(isinstance(node, ast.Name) and node.id == name for node in _own(function))
    ]


def _own(function: ast.FunctionDef) -> list[ast.AST]:
    """A function's body and decorators, without annotations: an annotation checks nothing."""
    return [node for part in (*function.body, *function.decorator_list) for node in ast.walk(part)]


def bench(cache: Path) -> Workbench:
    """A worker's bench over the toy task with all that a method can ask for."""
    strong = ToyModel(size="strong", pretrain_steps=1)
    weak = ToyModel(size="weak")
    splits = {"weak_train": 1, "transfer": EXAMPLES, "search": EXAMPLES, "test": 1}
    inputs = load_toy(ToyTask.model_validate({"splits": splits})).inputs
    warm_up(EngineConfig())
    materials = Materials(
        weak_probs=np.random.default_rng(0).uniform(size=(2, EXAMPLES)).astype(np.float32),
        weak_spread=np.random.default_rng(1).uniform(0, 0.5, size=(2, EXAMPLES)).astype(np.float32),
        tokens={split: render(strong, inputs[split]) for split in ("transfer", "search")},
        questions=ask(strong, inputs["transfer"]),
        intermediates=tuple(
            Intermediate(
                model=weak, tokens={split: render(weak, inputs[split]) for split in ("transfer", "search")}
            )
            for _ in range(4)
        ),
    )
    return Workbench(materials, ModelPool(strong, cache=cache), EngineConfig())


def try_random(count: int, seed: int, where: Workbench) -> dict[str, Any]:
    """Train `count` random methods; how many failed, and why."""
    rng = np.random.default_rng(seed)
    counts: Counter[str] = Counter()
    failures = []
    while counts["tried"] < count:
        counts["drawn"] += 1
        try:
            method = draw_method(rng)
        except ValidationError:
            counts["refused"] += 1
            continue
        if method.refused(where.abilities):
            counts["refused"] += 1
            continue
        counts["tried"] += 1
        if cause := failure(method, int(rng.integers(1000)), where):
            failures.append({"method": method.model_dump(mode="json"), "cause": cause})
    return {**counts, "failed": len(failures), "failures": failures}


def failure(method: Method, seed: int, where: Workbench) -> str | None:
    """Why a method does not train to predictions at every rung, None if it does."""
    try:
        reports = list(where.train(method, seed=seed, split="search", rungs=RUNGS))
    except Exception as error:  # whatever it is, it is what this benchmark looks for
        return f"{type(error).__name__}: {error}"
    if [report.share for report in reports] != list(RUNGS):
        return f"reported at {[report.share for report in reports]}"
    if any(not np.all((p.predictions >= 0) & (p.predictions <= 1)) for p in reports):
        return "predictions are no probabilities"
    return None


def table(rows: list[dict[str, Any]]) -> str:
    """One line a component."""
    lines = [f"{'slot':<8} {'component':<16} {'tests':>5}  file"]
    for row in rows:
        lines.append(f"{row['slot']:<8} {row['component']:<16} {len(row['tests']):>5}  {row['file']}")
    return "\n".join(lines)


def published_table(rows: list[dict[str, Any]]) -> str:
    """Two lines a published method: where it is, and what it is made of."""
    lines = [f"{'published method':<40} {'PGR':>4}  {'Method':<24} {'idea of the playbook':<20} tests"]
    for row in rows:
        parts = ", ".join(f"{name} ({tests})" for name, tests in row["components"].items())
        trained = ", ".join(row["trained_by"]) or "no test trains it"
        lines.append(
            f"{row['published']:<40} {row['pgr']:>4}  {row['method']:<24} {row['idea']:<20} {trained}"
        )
        lines.append(f"    {parts}" + (f"; not said: {row['lacks']}" if row["lacks"] else ""))
    return "\n".join(lines)


@stdout_for_json()
def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random", type=int, default=0, metavar="N", help="random methods to train")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = coverage()
    found: dict[str, Any] = {"components": len(rows), "tested": sum(bool(row["tests"]) for row in rows)}
    if arguments.random:
        with tempfile.TemporaryDirectory() as cache:
            found["random"] = try_random(arguments.random, arguments.seed, bench(Path(cache)))
    tests_of = {(row["slot"], row["component"]): len(row["tests"]) for row in rows}
    rungs = ladder(tests_of, training_tests(naming_tests))
    write_json({**found, "published": rungs, "coverage": rows}, indent=1)
    print(table(rows), published_table(rungs), sep="\n\n", file=sys.stderr)


if __name__ == "__main__":
    main()
