"""docs/settings.md, made from the classes of the config."""

from collections.abc import Iterable, Sequence

from search.config.allowed import GROUP
from search.config.fields import Group, Setting

TOP = """# Settings

What a config may say: a YAML file, each setting of which `--set search.trials=100` can override.
`python -m search settings search.pruning` prints the same in a terminal.

<!-- Generated: python -m search settings --markdown > docs/settings.md -->
"""
HEAD = "| setting | default | allowed | meaning |\n|---|---|---|---|\n"


def page(groups: Iterable[Group]) -> str:
    """The reference, a section for each group; a class that stands in several places is described once."""
    sections: dict[object, list[Group]] = {}
    for group in groups:
        sections.setdefault((group.model, group.kind), []).append(group)
    return "\n".join([TOP, *map(_section, sections.values())])


def _section(groups: Sequence[Group]) -> str:
    first = groups[0]
    title = ", ".join(f"`{group.title}`" for group in groups if group.title) or "The config"
    rows = "".join(_row(setting) for setting in first.settings if not setting.is_kind)
    return f"## {title}\n\n{first.about}\n" + (f"\n{HEAD}{rows}" if rows else "")


def _row(setting: Setting) -> str:
    default = "required" if setting.default is None else f"`{setting.default}`"
    allowed = setting.allowed
    if setting.is_group and not setting.is_value:
        default, allowed = ("required" if setting.default is None else ""), GROUP
    cells = (f"`{setting.name}`", default, allowed, setting.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
