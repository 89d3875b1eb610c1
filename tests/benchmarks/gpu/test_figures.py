import json
from pathlib import Path

import pytest

from benchmarks.gpu.figures import BODIES, H200, LENGTH, figure, line, pace, read_figures


def test_a_line_through_two_figures_by_hand() -> None:
    # 8,192 positions in 0.5018 s and 16,384 in 0.9510: 54.84 µs a position, and 52.6 ms besides.
    found = line([figure("Qwen3-4B", 8 * LENGTH, 16_325), figure("Qwen3-4B", 16 * LENGTH, 17_228)])
    assert found.token_s == pytest.approx(54.84e-6, rel=1e-3)
    assert found.pass_s == pytest.approx(52.6e-3, rel=5e-3)
    assert found.passes(4, 32 * LENGTH) == pytest.approx(32 * LENGTH / 16_325)
    assert found.passes(4, 32 * LENGTH, checkpointing=True) == pytest.approx(32 * LENGTH / 11_944)
    assert found.read(1000) == pytest.approx(0.5 * 54.84e-3, rel=1e-3)


def test_no_part_of_a_line_is_below_zero() -> None:
    faster_when_small = line([figure("Qwen3-4B", 100, 100), figure("Qwen3-4B", 200, 50)])
    assert (faster_when_small.pass_s, faster_when_small.token_s) == (0.0, pytest.approx(5 / 300))
    alone = line([figure("Qwen3-4B", 100, 50)])
    assert (alone.pass_s, alone.token_s) == (0.0, 0.02)


@pytest.mark.parametrize(
    ("shape", "positions", "compiled", "positions_per_s"),
    [
        ("Qwen3-4B", 16 * LENGTH, False, 17_028),
        ("Qwen3-4B", 16 * LENGTH, True, 27_350),
        ("Qwen3-0.6B", 32 * LENGTH, False, 53_010),
        ("Qwen3-0.6B", 4_281, False, 13_271 / 0.91),
    ],
)
def test_what_was_measured_is_given_back(
    shape: str, positions: int, compiled: bool, positions_per_s: float
) -> None:
    weights, layers = BODIES[shape]
    found = pace(H200, weights=weights, layers=layers, full=False, compiled=compiled)
    assert positions / found.passes(1, positions) == pytest.approx(positions_per_s, rel=0.001)


def test_another_shape_is_in_proportion_to_the_nearest() -> None:
    weights, layers = BODIES["Qwen3-4B"]
    known = pace(H200, weights=weights, layers=layers, full=False, compiled=False)
    larger = pace(H200, weights=2 * weights, layers=54, full=True, compiled=False)
    assert larger.token_s == pytest.approx(3 * known.token_s)
    assert larger.pass_s == pytest.approx(1.5 * known.pass_s)


def test_figures_of_another_card_are_read_from_its_file(tmp_path: Path) -> None:
    rows = [
        {"shape": "Qwen3-4B", "micro_batch": 8, "tokens_per_s": 8_000.0, "compile": "on"},
        {"shape": "tiny", "micro_batch": 4, "tokens_per_s": 100.0, "compile": "on"},
    ]
    path = tmp_path / "shape.json"
    path.write_text(json.dumps({"device": "NVIDIA A100", "shapes": rows}))
    assert read_figures(path) == [figure("Qwen3-4B", 8 * LENGTH, 8_000, compiled=True)]
    path.write_text(json.dumps({"rows": rows[1:]}))
    with pytest.raises(ValueError, match=r"has no row of Qwen3-0\.6B or Qwen3-4B"):
        read_figures(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="cannot be read"):
        read_figures(path)
