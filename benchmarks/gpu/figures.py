"""Measured figures of a card, and the seconds of a pass that follow from them. Pure.

A pass forward and backward takes so long besides, and so long for each token position: a line through figures
of the same shape at two sizes. Another model takes the figures of the nearest shape, in proportion to its
weights and layers.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.training.memory.choice import CHECKPOINTED

BODIES = {"Qwen3-0.6B": (440_401_920, 28), "Qwen3-4B": (3_633_315_840, 36)}  # linear weights, layers
LENGTH = 1024  # tokens of a sequence in `benchmarks.gpu shape` and `layers`


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Seconds of a pass forward and backward of a LoRA student in bf16. positions: tokens and padding."""

    shape: str
    compiled: bool
    positions: int
    seconds: float


def figure(shape: str, positions: int, positions_per_s: float, *, compiled: bool = False) -> Figure:
    """A figure of so many token positions a second."""
    return Figure(shape=shape, compiled=compiled, positions=positions, seconds=positions / positions_per_s)


# docs/measured.md, On a GPU. The short texts: a step took 3,896 tokens and 9% of padding, compiled 17%.
H200 = (
    figure("Qwen3-4B", 16 * LENGTH, 17_028),
    figure("Qwen3-4B", 8 * LENGTH, 16_325),
    figure("Qwen3-4B", 16 * LENGTH, 27_350, compiled=True),
    figure("Qwen3-0.6B", 32 * LENGTH, 53_010),
    figure("Qwen3-0.6B", 4_281, 13_271 / 0.91),
    figure("Qwen3-0.6B", 4_694, 23_384 / 0.83, compiled=True),
)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds of a pass besides its tokens, and of a token position."""

    pass_s: float
    token_s: float

    def passes(self, count: float, positions: float, *, checkpointing: bool = False) -> float:
        """Seconds of so many passes forward and backward, over so many positions together."""
        return (count * self.pass_s + positions * self.token_s) * (CHECKPOINTED if checkpointing else 1.0)

    def read(self, positions: float) -> float:
        """Seconds to predict. Frozen weights take 2 of the 4 FLOPs that a token of a LoRA training takes."""
        return 0.5 * positions * self.token_s


def line(figures: Sequence[Figure]) -> Pace:
    """The line through figures of one shape: least squares, with neither part below zero."""
    if len({figure.positions for figure in figures}) < 2:
        (positions, seconds), *_ = [(figure.positions, figure.seconds) for figure in figures]
        return Pace(pass_s=0.0, token_s=seconds / positions)
    xs, ys = [figure.positions for figure in figures], [figure.seconds for figure in figures]
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / math.fsum(
        (x - mean_x) ** 2 for x in xs
    )
    token_s = min(max(slope, 0.0), mean_y / mean_x)
    return Pace(pass_s=mean_y - token_s * mean_x, token_s=token_s)


def pace(figures: Iterable[Figure], *, weights: int, layers: int, full: bool, compiled: bool) -> Pace:
    """The pace of a model with so many weights in linear layers. full: whether they are all trained.

    Compiled layers without two figures of their own save the same share of both parts. All weights trained
    take 6 FLOPs each instead of 4.
    """
    known = [figure for figure in figures if figure.shape in BODIES]
    if not known:
        raise ValueError(f"no figure is of a known shape: name one of {', '.join(BODIES)}")
    nearest = min(
        {figure.shape for figure in known}, key=lambda shape: abs(math.log(BODIES[shape][0] / weights))
    )
    own = [figure for figure in known if figure.shape == nearest]
    plain = [figure for figure in own if not figure.compiled] or own
    found = line(plain)
    fast = [figure for figure in own if figure.compiled]
    if compiled and fast:
        share = math.fsum(figure.seconds / found.passes(1, figure.positions) for figure in fast) / len(fast)
        found = Pace(pass_s=found.pass_s * share, token_s=found.token_s * share)
    of_weights, of_layers = BODIES[nearest]
    return Pace(
        pass_s=found.pass_s * layers / of_layers,
        token_s=found.token_s * weights / of_weights * (1.5 if full else 1.0),
    )


def read_figures(path: Path) -> list[Figure]:
    """Those of a file that `benchmarks.gpu shape` or `layers` wrote.

    Raises ValueError, on one line, if there are none.
    """
    try:
        found: Mapping[str, Any] = json.loads(path.read_text())
        rows = [row for row in found.get("shapes") or found.get("rows") or () if row.get("tokens_per_s")]
        figures = [
            figure(
                row["shape"],
                row["micro_batch"] * LENGTH,
                row["tokens_per_s"],
                compiled=row.get("compile") == "on",
            )
            for row in rows
            if row["shape"] in BODIES
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--figures {path} cannot be read: {type(error).__name__}: {error}") from None
    if not figures:
        raise ValueError(f"--figures {path} has no row of {' or '.join(BODIES)}: use `benchmarks.gpu shape`")
    return figures
