from agents.language.proposal import Choice, Fixed, Range
from agents.playbook.idea import choice, idea, option, ranged, trimmed


def test_an_idea_fills_its_slots_and_says_how_far_the_optimizer_ranges() -> None:
    branch, lr, epochs = idea(
        "some-labels",
        "filtering",
        "They are right more often (A & B, 2020).",
        lr=(1, 10),
        labels=(option("soft", ranged("temperature", 0.3, 3, log=True)), option("hard")),
        select=(option("confidence", choice("balanced", True, False)),),
    )
    assert (branch.name, branch.family, branch.parent) == ("some-labels", "filtering", None)
    assert [(slot.slot, [one.component for one in slot.options]) for slot in branch.slots] == [
        ("labels", ["soft", "hard"]),
        ("select", ["confidence"]),
    ]
    assert branch.slots[0].options[0].params == (Range(name="temperature", low=0.3, high=3, log=True),)
    assert branch.slots[1].options[0].params == (Choice(name="balanced", values=(True, False)),)
    assert (lr, epochs) == ((1, 10), (1 / 3, 1))


def test_trimmed_members_are_counted() -> None:
    made = trimmed(8)
    assert made.component == "ensemble"
    assert made.params == (Fixed(name="count", value=8), Fixed(name="aggregate", value="trimmed"))
