"""The command `init`: a config for data of your own."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.commands.before.check import look_before, refuse_price_without_times
from search.cli.options import UsdPerGpuHour
from search.cli.output import console
from search.config.load import load_config

if TYPE_CHECKING:
    from search.preflight.columns import Ask
    from search.preflight.draft import Learner
    from trainers.data.pool import Pool

EXAMPLES = (
    (
        "init --data reviews.csv --weak prajjwal1/bert-tiny \\\n"
        "      --strong sentence-transformers/all-MiniLM-L6-v2",
        "writes reviews.yaml, and says what a run would take",
    ),
    ("init", "asks for everything"),
    ("init --data pairs.jsonl --weak bag_of_words --strong MODEL", "a weak supervisor that counts words"),
)
MODEL = "a hub id or a folder"


def init(
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV, TSV, JSON(L), each also .gz, or Parquet.")
    ] = None,
    weak: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The weak model, or bag_of_words.")
    ] = None,
    strong: Annotated[str | None, typer.Option(metavar="MODEL", help="The strong model.")] = None,
    test: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file of test examples, if there is one.")
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="FIELD", help="The field of the text.")] = None,
    label: Annotated[str | None, typer.Option(metavar="FIELD", help="The field of the label.")] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="LABEL", help="The label of class 1; all others are class 0.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(metavar="FIELD", help="Of pairs: the prompt.")] = None,
    chosen: Annotated[
        str | None, typer.Option(metavar="FIELD", help="Of pairs: the better response.")
    ] = None,
    rejected: Annotated[str | None, typer.Option(metavar="FIELD", help="Of pairs: the worse one.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The config. Default: named as the data, .yaml.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not time the models; there are no seconds then.")
    ] = False,
    usd_per_hour: UsdPerGpuHour = None,
) -> None:
    """Write a config for data of your own.

    Finds fields and labels by looking. What is unclear is asked in a terminal and refused elsewhere, with
    the candidates. The config is checked as `check` does.
    """
    refuse_price_without_times(usd_per_hour, quick=quick)
    given = {
        "text": text,
        "label": label,
        "positive": positive,
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
    }
    asked = _Asked(_typed if sys.stdin.isatty() and sys.stdout.isatty() else None)
    path = data or Path(asked.text("The data file", "CSV, TSV, JSON(L) or Parquet", "--data"))
    target = out or Path(_default_name(path))
    if target.exists():
        raise ValueError(f"{target}: is there already; name another file with --out")
    target.write_text(_drafted(path, test, weak, strong, given, asked))
    console().print(f"wrote {target}", highlight=False, soft_wrap=True)
    look_before(load_config(target), Path(), timed=not quick, as_json=False, usd_per_hour=usd_per_hour)
    named = shlex.quote(str(target))
    console().print(
        f"next: python -m search baselines {named} (is there a gap to recover?), "
        f"then python -m search run {named}",
        highlight=False,
        soft_wrap=True,
    )


def _default_name(path: Path) -> str:
    return f"{path.name.split('.')[0] or 'run'}.yaml"


def _typed(question: str) -> str:
    try:
        return input(question)
    except EOFError:
        raise KeyboardInterrupt from None


@dataclass(frozen=True)
class _Asked:
    """What a person says. answer: None where there is nobody to ask."""

    answer: Callable[[str], str] | None

    def text(self, what: str, kind: str, option: str) -> str:
        """A text that is not empty."""
        if self.answer is None:
            raise ValueError(f"init: {what[0].lower()}{what[1:]} is not named: say it with {option}, {kind}")
        while not (said := self.answer(f"{what} ({kind}): ").strip()):
            pass
        return said

    @property
    def choose(self) -> "Ask":
        """Chooses among candidates."""
        from search.preflight.columns import nobody, person

        return nobody if self.answer is None else person(self.answer)


def _drafted(
    path: Path,
    test: Path | None,
    weak: str | None,
    strong: str | None,
    given: dict[str, str | None],
    asked: _Asked,
) -> str:
    # torch and transformers take seconds to import; what is missing on the command line is said before.
    if asked.answer is None:
        asked_models = [
            weak or asked.text("The weak model", f"{MODEL}, or bag_of_words", "--weak"),
            strong or asked.text("The strong model", MODEL, "--strong"),
        ]
        weak, strong = asked_models
    from search.preflight.columns import find_fields
    from search.preflight.draft import config_text, pool_of
    from trainers.data.files import read_file

    columns = read_file(str(path)).columns
    found = find_fields(str(path), columns, given, asked.choose)
    pool = pool_of(str(path), found)
    tested = None if test is None else (str(test), len(pool_of(str(test), found).texts))
    strong = strong or asked.text("The strong model", MODEL, "--strong")
    weak = weak or asked.text("The weak model", f"{MODEL}, or bag_of_words", "--weak")
    weaker, stronger = _learners(weak, strong, pool)
    return config_text(str(path), found, pool, columns, weak=weaker, strong=stronger, test=tested)


def _learners(weak: str, strong: str, pool: "Pool") -> tuple["Learner", "Learner"]:
    from search.preflight.draft import BAG_OF_WORDS, bag_of_words, learner

    stronger = learner(strong, pool, weak=False)
    return (bag_of_words(stronger) if weak == BAG_OF_WORDS else learner(weak, pool, weak=True)), stronger
