import json
from pathlib import Path

import pytest

from benchmarks.attacks.__main__ import BY_TEXT, ON_A_RUN, REFUSED, main


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_attack_is_refused(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "attacks.json"
    assert main(["--cache", str(cache), "--out", str(out)]) == 0, capsys.readouterr().out
    came = json.loads(out.read_text())
    assert came.keys() == ON_A_RUN.keys() | BY_TEXT.keys()
    tried = {name: outcome for name, outcome in came.items() if not outcome.startswith("not tried")}
    assert set(tried.values()) == {REFUSED}
    assert came.keys() - tried.keys() <= {"a driver in another network namespace"}
