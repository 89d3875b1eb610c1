from agents.advice.beliefs import Belief
from agents.claude.advice.tools import DRAW_TOOLS, belief_line, open_space
from agents.claude.tools import TOOLS, declarations
from agents.language.proposal import Branch, Fixed, Option, Slot
from trainers.method import Method

FIXED = Branch(
    name="only",
    family="loss",
    hypothesis="It may help.",
    parent=None,
    slots=(
        Slot(slot="loss", options=(Option(component="logconf", params=(Fixed(name="aux", value=0.5),)),)),
    ),
)


def test_only_reading_and_naming_are_declared() -> None:
    names = [tool["name"] for tool in declarations(DRAW_TOOLS)]
    assert {"outlook", "predict", "suggest", "show_trial"} <= set(names)
    assert "note" not in names
    assert {tool["name"] for tool in declarations()} == set(TOOLS)
    values = declarations({"suggest": DRAW_TOOLS["suggest"]})[0]["input_schema"]["properties"]["values"]
    assert values["type"] == "array"


def test_a_branch_without_open_parameters_has_one_method() -> None:
    belief = Belief(method=Method(), pgr=0.3, low=0.2, high=0.4, stop=1 / 3)
    assert belief_line(FIXED, belief) == "PGR 0.300 (0.200 to 0.400) at 0.33 of its training: its only method"
    assert open_space([FIXED]) == "only: nothing"
