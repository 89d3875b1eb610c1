"""The command `methods`: the catalogue for people."""

from typing import Annotated

import typer

from search.cli.output import console, stdout_for_json, write_json

EXAMPLES = (
    ("methods", "every component by slot, and the playbook's methods"),
    ("methods labels", "a slot: formulas, bounds, sources, costs"),
    ("methods repair propagate", "one component"),
    ("methods confidence-loss", "a method of the playbook, as `compare --methods` trains it"),
)


def complete_word(incomplete: str) -> list[str]:
    """Slots, components and methods."""
    from agents.playbook.named import ideas
    from trainers.method import SLOTS

    kinds = (kind for components in SLOTS.values() for kind in components)
    return [word for word in dict.fromkeys([*SLOTS, *kinds, *ideas()]) if word.startswith(incomplete)]


def methods(
    first: Annotated[
        str,
        typer.Argument(
            metavar="SLOT",
            show_default=False,
            help="A slot, a component or a method of the playbook.",
            autocompletion=complete_word,
        ),
    ] = "",
    second: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            help="A component of the slot.",
            autocompletion=complete_word,
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Write the facts to stdout as JSON.")] = False,
) -> None:
    """Print what methods are made of.

    Components by slot with formulas, bounds, sources and costs, and the playbook's methods.
    """
    with stdout_for_json(wanted=as_json):
        _methods(first, second, as_json=as_json)


def _methods(first: str, second: str, *, as_json: bool) -> None:
    from search.output.catalogue import about_costs, all_methods, find, slot_facts
    from search.output.catalogue_text import in_full, overview
    from trainers.method import SLOTS

    people = console(as_json=as_json)
    if first:
        found = find(first, second)
        if as_json:
            write_json(found)
        else:
            people.print(in_full(found), highlight=False)
        return
    slots = {slot: slot_facts(slot) for slot in SLOTS if slot != "second_repair"}
    if as_json:
        write_json({"slots": slots, "methods": all_methods()})
    else:
        people.print(overview(slots, all_methods(), about_costs()), highlight=False)
