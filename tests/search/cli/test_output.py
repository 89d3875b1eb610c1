import json

import pytest

from search.cli.output import complain, console, write_json


def test_people_read_stdout_unless_a_script_does(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("to people")
    console(as_json=True).print("to people beside a script")
    write_json({"best": 0.5})
    output = capsys.readouterr()
    assert output.out.splitlines() == ["to people", '{"best": 0.5}']
    assert output.err.splitlines() == ["to people beside a script"]
    assert json.loads(output.out.splitlines()[-1]) == {"best": 0.5}


def test_a_pipe_is_wide_enough_for_a_table() -> None:
    assert console().width == 140


def test_a_complaint_is_one_line_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    message = f"error: [red]{'long ' * 60}[/red] fields=[1, 2]"
    assert complain(message, 2) == 2
    assert capsys.readouterr() == ("", message + "\n")
