import json
import os
import subprocess
import sys

import pytest
from rich.table import Table
from rich.text import Text

from search.cli.output import complain, console, stdout_for_json, write, write_json

HOSTILE = "\x1b[2J\x1b]8;;x\x9b31m"


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


def test_stdout_holds_json_alone_whoever_else_writes_there(capfd: pytest.CaptureFixture[str]) -> None:
    """Libraries print, processes inherit the descriptor, and C code writes to it."""
    print("before")
    with stdout_for_json():
        print("printed")
        os.write(1, b"written\n")
        subprocess.run(["echo", "of a process"], check=True)
        write_json({"best": 0.5})
        sys.stdout.flush()
    print("after")
    output = capfd.readouterr()
    assert output.out.splitlines() == ["before", '{"best": 0.5}', "after"]
    assert sorted(output.err.splitlines()) == ["of a process", "printed", "written"]


def test_where_no_json_is_wanted_stdout_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with stdout_for_json(wanted=False):
        print("printed")
    assert capfd.readouterr().out == "printed\n"


def test_a_stdout_that_is_no_descriptor_is_kept_too(capsys: pytest.CaptureFixture[str]) -> None:
    with stdout_for_json():
        print("printed")
        write_json([1, 2], indent=1)
    assert capsys.readouterr() == ("[\n 1,\n 2\n]\n", "printed\n")


def test_what_a_terminal_would_obey_leaves_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    people = console()
    table = Table(HOSTILE)
    table.add_row(HOSTILE, Text(HOSTILE, style="bold"))
    for shown in (HOSTILE, Text.assemble((HOSTILE, "red")), table):
        people.print(shown)
    write(f"{HOSTILE}\n")
    write_json({HOSTILE: HOSTILE})
    complain(f"error: {HOSTILE}\nERROR: another line", 2)
    output = capsys.readouterr()
    assert all(line.isprintable() for text in output for line in text.splitlines())
    assert output.out.count("?[2J?]8;;x?") == 6
    assert output.err == "error: ?[2J?]8;;x?31m ERROR: another line\n"


def test_a_name_in_brackets_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("run directory: runs/[red]x[/] :smile:", highlight=False)
    assert capsys.readouterr().out == "run directory: runs/[red]x[/] :smile:\n"


def test_styles_of_our_own_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    people = console()
    with people.capture() as shown:
        people.print(HOSTILE, style="red", highlight=False)
    assert shown.get() == "\x1b[31m?[2J?]8;;x?31m\x1b[0m\n"
