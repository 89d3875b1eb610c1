import json
from collections.abc import Callable

import pytest

from search.__main__ import main
from tests.search.cli.conftest import Measured


def test_prices_without_torch(measured: Callable[..., Measured]) -> None:
    ran = measured("prices")
    assert (ran.code, ran.heavy) == (0, [])
    assert "claude-haiku-5-5, prompts above 100,000" in ran.output


def test_prices_for_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["output"] for row in rows if row["model"] == "claude-haiku-5-5"] == [0.5, 2.5]
    assert all(row["batch_output"] == row["output"] / 2 for row in rows)
