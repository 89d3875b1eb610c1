from pathlib import Path

import pytest

from benchmarks.gpu.cache import fresh_process


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_process_compiles_with_what_another_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    first, second = (fresh_process(tmp_path, tiny=True) for _ in range(2))
    assert first["graphs"] == second["graphs"] >= 1
    assert second["first_epoch_s"] < first["first_epoch_s"]
