import json
import sys

import pytest

from benchmarks.gpu.__main__ import flops_a_token, main
from trainers.training.memory import ModelShape


def test_work_by_hand() -> None:
    # Qwen3-4B, LoRA of rank 32: 3.63e9 frozen weights in linear layers, 66 million of adapters; attention:
    # 6 x 1,024 x 36 layers x 4,096 wide: 4 x 3.63e9 + 6 x 0.066e9 + 0.906e9.
    shape = ModelShape(
        layers=36, hidden=2560, intermediate=9728, attention=4096, keys=1024, gated=True, normed=True
    )
    assert flops_a_token(shape, 3_633_315_840, 66_060_288, 1024) == pytest.approx(15.836e9, rel=1e-3)


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
