from collections.abc import Callable

import pytest

from agents.advice.suggestions import Tray
from agents.findings.findings import BranchFinding, Findings, TrialFinding
from agents.language.proposal import Branch
from agents.language.suggestion import NamedValue


@pytest.fixture
def tray(
    campaign: Callable[..., Findings], branch: Callable[..., Branch], tried: Callable[..., TrialFinding]
) -> Tray:
    """For two draws, of a live branch a (aux 0.2 to 1) where 0.5 was tried; the branch old is used up."""
    found = [
        BranchFinding(branch=branch("a"), round=1, live=True),
        BranchFinding(branch=branch("old", 0.1), round=1, live=False),
    ]
    return Tray(campaign(branches=found, trials=(tried("t1", aux=0.5),)), 2)


def aux(value: float) -> list[NamedValue]:
    return [NamedValue(name="loss.logconf.aux", value=value)]


def test_draws_are_kept_in_order_up_to_the_limit(tray: Tray) -> None:
    assert tray.add("a", aux(0.3), "low").method.loss.aux == 0.3
    assert tray.left == 1
    tray.add("a", aux(0.9), "high")
    with pytest.raises(ValueError, match="at most 2 draws may be named now"):
        tray.add("a", aux(0.7), "one too many")
    assert [(draw.branch, draw.method.loss.aux, draw.reason) for draw in tray.draws] == [
        ("a", 0.3, "low"),
        ("a", 0.9, "high"),
    ]
    assert tray.refused == ("a: at most 2 draws may be named now",)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("a", 0.5, "was tried or named before"),
        ("a", 0.1, r"loss\.logconf\.aux must be in \[0\.2, 1\], got 0\.1"),
        ("old", 0.3, "there is no live branch 'old'; there are a"),
        ("nowhere", 0.3, "there is no live branch 'nowhere'; there are a"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_noted(tray: Tray, name: str, value: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tray.add(name, aux(value), "why not")
    assert tray.draws == ()
    assert len(tray.refused) == 1
    assert tray.refused[0].startswith(f"{name}: ")


def test_a_draw_is_named_once(tray: Tray) -> None:
    tray.add("a", aux(0.3), "first")
    with pytest.raises(ValueError, match="was tried or named before"):
        tray.add("a", aux(0.3), "again")
