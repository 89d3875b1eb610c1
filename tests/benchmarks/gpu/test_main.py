import json
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import LIMITS, WHOLE, main, table
from benchmarks.gpu.layers import ROWS
from benchmarks.gpu.short import CONTENDERS


@pytest.mark.slow
def test_the_dry_run_takes_the_whole_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu", "--tiny"])
    main()
    said = capsys.readouterr().out
    found = json.loads(said[said.index("{") :])
    (row,) = found["shapes"]
    assert found["device"] == "cpu"
    assert row["shape"] == "tiny"
    # By hand: rank 32 times inputs plus outputs of seven projections in two layers, and the head.
    attention = 2 * (64 + 64) + 2 * (64 + 64)
    assert row["trainable"] == 2 * 32 * (attention + 3 * (64 + 192)) + 2 * 64 + 2
    assert row["micro_batch"] == 4
    assert row["tokens_per_s"] > 0
    assert row["projected_s"] == pytest.approx(6826 * 5 * 32 / row["tokens_per_s"])
    assert row["published_s"] == 6353
    assert row["share_of_peak"] is None


def test_without_a_gpu_only_the_dry_run_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "there is no GPU here: use --tiny for a dry run" in capsys.readouterr().err


def test_a_part_without_a_gpu_says_so_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu", "layers", "--out", str(tmp_path)])
    main()
    (row,) = json.loads((tmp_path / "layers.json").read_text())["rows"]
    assert row == {"skipped": "there is no GPU here: --cpu is a dry run in small sizes"}


def test_the_parts_fit_into_eight_minutes() -> None:
    assert sum(LIMITS.values()) <= WHOLE <= 480


def test_a_table_has_the_columns_of_all_rows() -> None:
    rows = [{"loop": "ours", "tokens_per_s": 1234.5}, {"loop": "plain", "memory": 2_000_000_000, "why": None}]
    assert table(rows).splitlines() == [
        " loop  tokens_per_s  memory  why",
        " ours         1,234       –    –",
        "plain             –   2.0 G    –",
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_parts_run_dry_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of the four: the others take minutes on a CPU."""
    monkeypatch.setattr(
        "benchmarks.gpu.__main__.LIMITS", {part: LIMITS[part] for part in ("layers", "short")}
    )
    monkeypatch.setattr(sys, "argv", ["gpu", "all", "--out", str(tmp_path), "--cpu"])
    main()
    said = capsys.readouterr().out
    assert [line.split()[1] for line in said.splitlines() if line.split(":")[0] in LIMITS] == ["done"] * 2
    found = {
        part: json.loads((tmp_path / f"{part}.json").read_text())["rows"] for part in ("layers", "short")
    }
    assert [(row["compile"], row["packing"]) for row in found["layers"]] == [
        (row["compile"], row.get("packing", "off")) for row in ROWS
    ]
    assert [row["engine"] for row in found["layers"]] == [row.get("backend", "torch") for row in ROWS]
    assert [row["loop"] for row in found["short"]] == [contender.name for contender in CONTENDERS]
    assert len(list(tmp_path.iterdir())) == 4
