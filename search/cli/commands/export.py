"""The command `export`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from search.cli.options import RunFolder
from search.cli.output import console, stdout_for_json, write_json
from search.storage.object_store import snapshot
from search.storage.run_directory import RunDirectory

EXAMPLES = (
    ("export runs/long --out winner", "the best method's model, with its card"),
    ("export runs/long --method naive --out naive", "what it is compared with"),
    ("export runs/long --script winner.py", "the best method as one file of Python, with its data"),
)


def export(
    directory: RunFolder,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A new folder for the model, its reader and its card."),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.py",
            help="Write the method as one file of Python that trains it without this package, and its data "
            "beside it.",
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="`best`, `naive`, or a trial, as the command trials lists them."),
    ] = "best",
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="SEED", help="Another seed of the confirmation. Default: its first, which no score chose."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Write what was exported to stdout as JSON, and all else to stderr."),
    ] = False,
) -> None:
    """Hand on a method: a trained model, or one file of Python.

    The model is trained as the confirmation trained it, or taken where confirm.keep_models kept it, and its
    answers are compared with those that the run recorded. transformers and peft load it; README.md says how.
    """
    if (out is None) == (script is None):
        raise typer.BadParameter("give one of --out FOLDER and --script FILE.py")
    with stdout_for_json(wanted=as_json), snapshot(directory) as path:
        run = RunDirectory(path)
        run.read_config()  # what is no run is refused before torch is imported
        if out is not None:
            _model(run, out, method, seed, as_json=as_json)
        elif script is not None:
            _script(run, script, method, seed, as_json=as_json)


def _model(run: RunDirectory, out: Path, method: str, seed: int | None, *, as_json: bool) -> None:
    from search.export.model import export_model  # torch takes seconds to import

    people = console(as_json=as_json)
    done = export_model(run, out, people, name=method, seed=seed)
    how = "taken from the run" if done.kept else "trained"
    people.print(
        f"{out}: {done.members} model{'s' if done.members > 1 else ''}, {how} with seed {done.chosen.seed}",
        highlight=False,
        soft_wrap=True,
    )
    if done.agreement is not None:
        people.print(
            f"it gives {done.agreement:.2%} of the classes recorded on the {done.chosen.split} split",
            highlight=False,
            style=None if done.agreement > 0.99 else "yellow",
        )
    _say_how_to_answer(run, people, f"python {shlex.quote(str(out / 'predict.py'))} new.jsonl")
    if as_json:
        write_json(
            {
                "folder": str(out),
                "method": done.chosen.method.model_dump(),
                "seed": done.chosen.seed,
                "members": done.members,
                "kept": done.kept,
                "split": done.chosen.split,
                "agreement": done.agreement,
            }
        )


def _say_how_to_answer(run: RunDirectory, people: Console, command: str) -> None:
    """The command that answers new examples, and what its numbers mean."""
    from search.export.card import EXAMPLE_LINE, class_one

    config, _ = run.load()
    task = next(iter(config.searched.values())).task  # of several tasks the first is exported
    people.print(
        f"new examples, lines of {EXAMPLE_LINE[task.has_pairs]}: `{command}` prints for each the probability "
        f"that {class_one(task)}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _script(run: RunDirectory, script: Path, method: str, seed: int | None, *, as_json: bool) -> None:
    from search.export.script import export_script  # torch takes seconds to import

    people = console(as_json=as_json)
    chosen = export_script(run, script, people, name=method, seed=seed)
    people.print(f"{script}: run it with `python {script}`", highlight=False, soft_wrap=True)
    _say_how_to_answer(run, people, f"python {shlex.quote(str(script))} --data new.jsonl")
    if as_json:
        write_json({"script": str(script), "method": chosen.method.model_dump(), "seed": chosen.seed})
