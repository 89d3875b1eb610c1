"""The command `settings`: what a config may say, for a person or as docs/settings.md."""

import difflib
import textwrap
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from search.cli.options import complete_place
from search.cli.output import console, write
from search.cli.settings_page import page
from search.config.fields import Group, Setting, groups

WIDTH, INDENT = 100, " " * 4
EXAMPLES = (
    ("settings search.pruning", "the settings of one group"),
    ("settings agent", "a group of several kinds"),
    ("settings --markdown > docs/settings.md", "the reference, made again after a change"),
)


def settings(
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="PREFIX",
            show_default=False,
            help="A setting, or a group of them, such as search.pruning.",
            autocompletion=complete_place,
        ),
    ] = "",
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write the whole reference, as in docs/settings.md.")
    ] = False,
) -> None:
    """Print what a config may say: defaults, bounds, meaning."""
    chosen = below(prefix.rstrip("."), groups())
    if markdown:
        write(page(chosen))
        return
    people = console()
    for number, group in enumerate(chosen):
        if number:
            people.print()
        _print(group, people)


def below(prefix: str, found: list[Group]) -> list[Group]:
    """The settings that a prefix names, in their groups; ValueError, with the nearest names, for none."""
    if not prefix:
        return found
    chosen = []
    for group in found:
        settings = tuple(
            setting for setting in group.settings if f"{setting.place}.".startswith(f"{prefix}.")
        )
        if settings:
            chosen.append(replace(group, settings=settings))
    if not chosen:
        raise ValueError(f"{prefix} is not a setting{_nearest(prefix, found)}")
    return chosen


def _nearest(prefix: str, found: list[Group]) -> str:
    places = list(dict.fromkeys(setting.place for group in found for setting in group.settings))
    ends = [place for place in places if prefix.rpartition(".")[2] in place.split(".")[-1:]]
    near = ends or difflib.get_close_matches(prefix, places, n=3, cutoff=0.6)
    return f"; did you mean {', '.join(near[:3])}?" if near else f"; there are {', '.join(_tops(places))}"


def _tops(places: list[str]) -> list[str]:
    return [place for place in places if "." not in place]


def _print(group: Group, people: Console) -> None:
    shown = [setting for setting in group.settings if setting.is_value and not setting.is_kind]
    if group.kind or len(shown) > 1:
        people.print(Text.assemble((group.title or "settings", "bold underline"), f"  {group.about}"))
    for setting in shown:
        _print_setting(setting, people)


def _print_setting(setting: Setting, people: Console) -> None:
    default = "(required)" if setting.default is None else f"= {setting.default}"
    people.print(Text.assemble((setting.place, "bold"), f" {default}", (f"   {setting.allowed}", "dim")))
    for line in textwrap.wrap(setting.description, min(people.width, WIDTH) - len(INDENT)):
        people.print(INDENT + line, highlight=False, markup=False)
