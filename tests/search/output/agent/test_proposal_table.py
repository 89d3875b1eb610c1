from io import StringIO

from rich.console import Console

from agents.findings.round_proposal import LaneReport
from agents.findings.usage import Usage
from agents.language.proposal import Branch, Choice, Option, Proposal, Slot
from search.output.agent.proposal_table import cost_table, proposal_table


def shown(*things: object) -> str:
    output = StringIO()
    console = Console(file=output, width=160, force_terminal=True, color_system="truecolor")
    for thing in things:
        console.print(thing)
    return output.getvalue()


def test_nothing_that_was_said_is_markup_or_moves_the_cursor() -> None:
    values = Choice(name="aux\x1b[2J", values=("[red]x[/]\x1b]0;title\x07",))
    slot = Slot(slot="loss", options=(Option(component="logconf", params=(values,)),))
    branch = Branch(
        name="[red]A[/]",
        family="loss",
        hypothesis="[blink]b\x1b[2J\u202e[/blink]",
        parent=None,
        slots=(slot,),
    )
    said = shown(proposal_table(Proposal(branches=(branch,), rationale="[bold]r\x1b[1A\n[/bold]")))
    for kept in ("[red]x[/]", "[blink]b?[2J?[/blink]", "[bold]r?[1A", "red-a-red"[:5]):
        assert kept in said
    for code in ("\x1b[2J", "\x1b]0", "\x1b[1A", "\u202e", "\x07"):
        assert code not in said


def test_tokens_and_dollars_of_every_lane_and_of_all() -> None:
    usage = Usage(requests=2, input_tokens=1000, cache_read_tokens=9000, output_tokens=500, usd=0.0158)
    lanes = [
        LaneReport(lane=name, direction="", source="claude", branches=("a", "b"), usage=usage, why=why)
        for name, why in (("1", None), ("2", "the model [red]refused[/]"))
    ]
    rows = [line.split() for line in shown(cost_table(lanes)).splitlines()]
    assert any(row[1:2] == ["1"] and {"10,000", "9,000", "500", "0.0158"} <= set(row) for row in rows)
    assert any(row[1:2] == ["all"] and {"4", "20,000", "18,000", "0.0316"} <= set(row) for row in rows)
    assert "lane 2: the model [red]refused[/]" in shown(cost_table(lanes))
