from pathlib import Path

import pytest

from benchmarks.gpu.cache import fresh_process


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_process_compiles_with_what_another_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    rows, kernels = [], []
    for _ in range(2):
        rows.append(fresh_process(tmp_path, tiny=True))
        kernels.append({path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.so")})
    assert rows[0]["graphs"] == rows[1]["graphs"] >= 1
    assert all(row["first_epoch_s"] > 0 for row in rows)
    assert kernels[0]
    assert kernels[1] == kernels[0]  # the second process compiled nothing
