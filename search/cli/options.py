"""Arguments and options that several commands take, and what a shell may complete them with."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from search.config.fields import Group, groups

YAML = (".yaml", ".yml")


def complete_config(incomplete: str) -> list[str]:
    """YAML files, and the folders on the way to them."""
    return [
        f"{path}/" if path.is_dir() else str(path)
        for path in _beginning_with(incomplete)
        if path.is_dir() or path.suffix in YAML
    ]


def complete_run(incomplete: str) -> list[str]:
    """Run directories, and the folders on the way to them."""
    return [
        str(path) if _is_run(path) else f"{path}/" for path in _beginning_with(incomplete) if path.is_dir()
    ]


def complete_setting(incomplete: str) -> list[tuple[str, str]]:
    """The next part of a setting's name with what it means, or the values it may have, as `key=value`."""
    place, equals, value = incomplete.partition("=")
    sections = groups()
    if equals:
        found = {choice: "" for choice in _choices(sections, place) if choice.startswith(value)}
        return [(f"{place}={choice}", about) for choice, about in found.items()]
    return list({name: about for name, about in _names(sections, place) if name.startswith(place)}.items())


def complete_place(incomplete: str) -> list[tuple[str, str]]:
    """The next part of a setting's name, for a command that shows settings."""
    return [(name.removesuffix("="), about) for name, about in complete_setting(incomplete)]


def _names(sections: list[Group], place: str) -> Iterator[tuple[str, str]]:
    """What a setting beside this place is typed as: `search.` for a group, `seed=` for a value."""
    parent = place.rpartition(".")[0]
    for section in sections:
        for setting in section.settings if section.place == parent else ():
            if setting.is_group:
                yield f"{setting.place}.", _in_brief(setting.description)
            if setting.is_value:
                yield f"{setting.place}=", _in_brief(setting.description)


def _in_brief(description: str) -> str:
    """The first sentence, short enough that typer does not wrap it: a second line would be a candidate."""
    return textwrap.shorten(description.partition(". ")[0].rstrip("."), 70, placeholder=" …")


def _choices(sections: list[Group], place: str) -> Iterator[str]:
    for section in sections:
        yield from (
            choice for setting in section.settings if setting.place == place for choice in setting.choices
        )


def _beginning_with(incomplete: str) -> list[Path]:
    """Files and folders whose path begins so; hidden ones only where a dot is typed."""
    folder, slash, name = incomplete.rpartition("/")
    place = Path(folder + slash) if slash else Path()
    try:
        found = sorted(place.iterdir())
    except OSError:
        return []
    visible = [path for path in found if path.name.isprintable()]  # a shell would show the rest as it is
    return [path for path in visible if path.name.startswith(name) and (name or path.name[0] != ".")]


def _is_run(path: Path) -> bool:
    return (path / "config.yaml").is_file()


ConfigFile = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG", help="A YAML file, such as configs/dev.yaml.", autocompletion=complete_config
    ),
]
RunFolder = Annotated[
    str,
    typer.Argument(metavar="DIR", help="A run directory, or its URL.", autocompletion=complete_run),
]


def set_option(about: str) -> Any:
    """The option --set of a command. about: what it does there."""
    return typer.Option(
        "--set",
        metavar="KEY=VALUE",
        default_factory=list,
        show_default=False,
        help=f"{about}; may be repeated.",
        autocompletion=complete_setting,
    )


Overrides = Annotated[list[str], set_option("Override a setting, such as search.trials=100")]
BranchFiles = Annotated[
    list[Path],
    typer.Option(
        "--branch",
        metavar="FILE",
        default_factory=list,
        show_default=False,
        help="A branch of your own, in YAML or JSON; may be repeated. They come first.",
    ),
]
UsdPerGpuHour = Annotated[
    float | None,
    typer.Option(
        "--usd-per-gpu-hour",
        metavar="USD",
        min=0,
        show_default=False,
        help="The price of a GPU-hour, to say what a run costs.",
    ),
]
OutcomeAsJson = Annotated[
    bool, typer.Option("--json", help="Write the content of result.json to stdout, and all else to stderr.")
]
