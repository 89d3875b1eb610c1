"""Hostile formulas run no code, take little time and memory; random ones that are taken are finite."""

import builtins
import random
import sys
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.small_runs.random_formulas import draw_formula, random_expression
from tests.trainers.components.unasked import unasked
from trainers.components.formulas.formula import Formula
from trainers.components.formulas.grammar import LENGTH
from trainers.components.formulas.labels import LabelFormula, RepairFormula, label_formula
from trainers.components.formulas.losses import LossFormula, evidence_of
from trainers.components.formulas.weights import WeightFormula, formula_weights
from trainers.components.losses import example_losses
from trainers.components.weak_labels import Evidence

KINDS: tuple[type[Formula], ...] = (LabelFormula, RepairFormula, WeightFormula, LossFormula)
HOSTILE = 2_400
VALID = 600
SECONDS = 0.05  # of each formula, hostile or not
BYTES = 4_000_000  # of each hostile formula at its peak, besides the formula itself

ATTACKS = (
    "__import__('os').system('touch /tmp/owned')",
    "eval('1')",
    "exec(w)",
    "open('/etc/passwd')",
    "w.__class__.__mro__[1].__subclasses__()",
    "().__class__",
    "getattr(w, 'real')",
    "lambda: 1",
    "[x for x in (1,)]",
    "{w}",
    "f'{w}'",
    "w; import os",
    "w if w else w",
    "9**9**9**9",
    "pow(9, pow(9, pow(9, pow(9, pow(9, w)))))",
    "exp(exp(exp(exp(exp(exp(w * 1e6))))))",
    "1e999999999",
    "9" * 5_000,
    "0." + "0" * 250 + "1",
    "1/0",
    "w/(w-w)/(w-w)",
    "log(log(log(0-w)))",
    "\x00",
    "w\x00+1",
    "w + w",
    "ｗ + １",
    "w\N{RIGHT-TO-LEFT OVERRIDE}1",
    "\ud800",
    "٣ + w",
    "w # comment",
    "'" * 200,
    "w\n\r\t+1",
    "%s%s%s%n",
    "${jndi:ldap://x}",
    "</record>",
    "import os",
    "globals()",
    "w := 1",
    "@w",
    "w[0]",
    "True",
    "None",
    "nan",
    "inf * 0",
)


def hostile(count: int) -> Iterator[str]:
    """Attacks, deep, long and broken formulas, and formulas with a few characters changed."""
    yield from ATTACKS
    for size in (20, 290, 3_000, 1_000_000):
        for piece in (
            "(",
            ")",
            "-",
            "rank(",
            "w+",
            "w*",
            "1,",
            "<",
            "where(w,",
            "e",
            "9",
            ".",
            " ",
            "w " * 3,
        ):
            yield piece * size
            yield piece * size + "w" + ")" * size
    rng, dice = np.random.default_rng(1), random.Random(1)
    letters = "w()+-*/<>=,.0123456789eE _'\"\\[]{}:;@#$%&|^~`!?\x00\x1b\n\u202e\u0660é" + "abctf"
    for _ in range(count):
        if dice.random() < 0.4:
            yield "".join(dice.choices(letters, k=dice.choice((3, 30, LENGTH))))
            continue
        text = random_expression(rng, dice.choice(KINDS), depth=dice.choice((3, 6, 9)))[: 2 * LENGTH]
        for _ in range(dice.randrange(4)):
            place = dice.randrange(len(text) + 1)
            text = text[:place] + dice.choice((*letters, *ATTACKS[:20])) + text[place + dice.randrange(3) :]
        yield text


class Trap:
    """Notes what Python is asked to compile, run or import."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sprung: list[str] = []
        for name in ("eval", "exec", "compile", "open"):
            monkeypatch.setattr(builtins, name, self._caught(name))
        self._modules = set(sys.modules)

    def _caught(self, name: str) -> Any:
        return lambda *args, **kwargs: self.sprung.append(name)

    @property
    def imported(self) -> set[str]:
        return set(sys.modules) - self._modules


def tried(text: str, kind: type[Formula]) -> str | None:
    """The sentence by which a formula is refused; None if it is taken."""
    try:
        kind(expression=text)
    except ValidationError as error:
        return error.errors(include_input=False)[0]["msg"]
    return None


def test_hostile_formulas_run_no_code_and_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:  # what is computed once for all formulas
        kind()
    texts = list(hostile(HOSTILE))
    trap = Trap(monkeypatch)
    slow: list[tuple[float, str]] = []
    sentences = []
    for place, text in enumerate(texts):
        since = time.thread_time()
        sentences.append(tried(text, KINDS[place % len(KINDS)]))
        slow.append((time.thread_time() - since, text[:80]))
    builtins.eval("1")  # as a formula must not
    monkeypatch.undo()
    assert trap.sprung == ["eval"]
    assert trap.imported == set()
    assert len(texts) > 2_000
    assert max(slow)[0] < SECONDS, max(slow)
    refused = [sentence for sentence in sentences if sentence is not None]
    assert len(refused) > 2_000
    assert all(sentence.isprintable() and len(sentence) < 300 for sentence in refused)


def test_hostile_formulas_take_little_memory() -> None:
    texts = list(hostile(200))
    for kind in KINDS:
        kind()
    tracemalloc.start()
    try:
        for place, text in enumerate(texts):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            tried(text, KINDS[place % len(KINDS)])
            assert tracemalloc.get_traced_memory()[1] - before < BYTES + 2 * len(text), text[:80]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (LabelFormula, "+".join(["rank(w)"] * 37)),
        (LabelFormula, "*".join(["pow(w,a)"] * 30)),
        (LossFormula, "+".join(["pow(f,a)*ce(t)"] * 17)),
        # Tried with all numbers and at all times, before it is refused.
        (LossFormula, "0*f*(" + "+".join(["pow(f,a)*ce(t)"] * 16) + ")"),
        (LabelFormula, "0*w*(" + "+".join(["rank(w)"] * 36) + ")"),
    ],
)
def test_the_longest_formulas_are_checked_in_time(kind: type[Formula], text: str) -> None:
    assert len(text) > 0.75 * LENGTH
    since = time.thread_time()
    sentence = tried(text, kind)
    assert time.thread_time() - since < SECONDS
    assert sentence is None if text[0] != "0" else "on random" in str(sentence)


@pytest.mark.parametrize("kind", [*KINDS[:3], pytest.param(LossFormula, marks=pytest.mark.slow)])
def test_random_formulas_that_are_taken_are_finite(kind: type[Formula]) -> None:
    rng = np.random.default_rng(2)
    features = rng.standard_normal((30, 3)) * 10
    weak = rng.choice([0.0, 0.5, 1.0, 0.3, 0.999999], size=30)
    apart = rng.uniform(0, 0.5, size=30)
    evidence = Evidence(
        weak_probs=weak, features=lambda: features, prior=unasked, spread=lambda: apart, seed=1
    )
    tried: set[str] = set()
    while len(tried) < VALID // len(KINDS):
        formula: Any = draw_formula(rng, kind)
        tried.add(formula.expression)
        if isinstance(formula, WeightFormula):
            values = formula_weights(formula, evidence, weak)
            assert values.max() > 0
        elif isinstance(formula, LossFormula):
            logits = torch.tensor(
                rng.standard_normal((30, 2)) * 10.0 ** rng.integers(0, 5), dtype=torch.float32
            )
            logits.requires_grad_()
            known = {name: torch.tensor(values) for name, values in evidence_of(formula, evidence).items()}
            losses = example_losses(formula, logits, torch.tensor(weak), float(rng.uniform()), known)
            (slopes,) = torch.autograd.grad(losses.sum(), logits)
            assert slopes.isfinite().all()
            values = losses.detach().numpy()
        else:
            values = label_formula(formula, evidence)
            assert values.max() <= 1
        assert np.isfinite(values).all()
        assert isinstance(formula, LossFormula) or values.min() >= 0
