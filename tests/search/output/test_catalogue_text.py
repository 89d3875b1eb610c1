"""The catalogue as text."""

from rich.console import Console

from search.output.catalogue import about_costs, all_methods, find, slot_facts
from search.output.catalogue_text import in_full, overview


def text_of(words: tuple[str, str]) -> str:
    console = Console(width=110)
    with console.capture() as capture:
        console.print(in_full(find(*words)))
    return capture.get()


def test_a_component_in_full() -> None:
    text = text_of(("labels", "soft"))
    assert text.startswith("labels.soft\n")
    for said in (
        "w^(1/T)",
        "Hinton et al. 2015",
        "temperature = 1.0   [0.1, 10]",
        "cost: 1 times",
        "w is the weak",
    ):
        assert said in text


def test_a_cost_names_what_a_component_needs_beside_it() -> None:
    assert "cost: 1 times naive's, with labels soft beside it\n" in text_of(("loss", "product"))
    assert "beside it" not in text_of(("loss", "gce"))


def test_a_method_in_full() -> None:
    text = text_of(("robust-losses", ""))
    assert "loss: {kind: gce" in text
    assert "variants: robust-losses:sce" in text
    assert "w is the weak" not in text


def test_the_overview_fits_a_pipe() -> None:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(overview({"labels": slot_facts("labels")}, all_methods(), about_costs()))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 140
    assert any("balanced" in line and "1x" in line for line in lines)
    assert any(line.startswith("label-propagation") for line in lines)
