import json
from collections.abc import Callable

import pytest

from search.__main__ import main
from search.cli.commands.before.methods import complete_word
from tests.search.cli.conftest import Measured


def test_the_catalogue_without_torch(measured: Callable[..., Measured]) -> None:
    ran = measured("methods")
    assert (ran.code, ran.heavy) == (0, [])
    assert "slot labels" in ran.output
    assert "methods of the playbook" in ran.output


def test_one_component_for_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "repair", "propagate", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["slot"], found["name"]) == ("repair", "propagate")


def test_a_word_that_names_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "propagat"]) == 2
    assert capsys.readouterr().err.startswith("error: no method is called 'propagat'; did you mean ")


def test_words_are_completed() -> None:
    assert complete_word("lab") == ["labels", "label-propagation"]
