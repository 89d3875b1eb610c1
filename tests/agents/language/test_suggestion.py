import pytest

from agents.language.proposal import Branch, Choice, Fixed, Option, Range, Slot, branch_contains
from agents.language.suggestion import NamedValue, named_method, open_names
from trainers.method import Method

BRANCH = Branch(
    name="b",
    family="loss",
    hypothesis="It may help.",
    parent=None,
    slots=(
        Slot(
            slot="loss",
            options=(
                Option(component="logconf", params=(Range(name="aux", low=0.2, high=0.8, log=False),)),
                Option(component="xent", params=()),
            ),
        ),
        Slot(
            slot="optim",
            options=(
                Option(
                    component="adamw",
                    params=(
                        Choice(name="batch_size", values=(16, 32)),
                        Fixed(name="epochs", value=1.0),
                    ),
                ),
            ),
        ),
    ),
)
WHOLE = {"loss.kind": "logconf", "loss.logconf.aux": 0.5, "optim.adamw.batch_size": 32}


def named(**changes: object) -> Method:
    """The method of WHOLE with changes; a value of None is left out. Dots are written as __."""
    values = WHOLE | {name.replace("__", "."): value for name, value in changes.items()}
    given = [NamedValue(name=name, value=value) for name, value in values.items() if value is not None]
    return named_method(BRANCH, given, Method())


def test_the_values_make_a_method_of_the_branch() -> None:
    method = named()
    assert (method.loss.kind, method.loss.aux, method.optim.batch_size, method.optim.epochs) == (
        "logconf",
        0.5,
        32,
        1.0,
    )
    assert branch_contains(BRANCH, method, Method())
    assert list(open_names(BRANCH)) == list(WHOLE)


def test_ends_of_a_range_count_and_parameters_of_other_options_are_not_asked_for() -> None:
    assert named(loss__logconf__aux=0.8).loss.aux == 0.8
    assert named(loss__kind="xent", loss__logconf__aux=None).loss.kind == "xent"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss__logconf__aux": 0.81}, "loss.logconf.aux must be in [0.2, 0.8], got 0.81"),
        ({"loss__logconf__aux": True}, "must be in [0.2, 0.8], got True"),
        ({"loss__logconf__aux": "0.5"}, "must be in [0.2, 0.8], got 0.5"),
        ({"loss__logconf__aux": 10**400}, "must be in [0.2, 0.8], got an integer of 1329 bits"),
        ({"loss__logconf__aux": None}, "loss.logconf.aux is missing; name a value in [0.2, 0.8]"),
        ({"loss__kind": "gce"}, "loss.kind must be one of logconf, xent, got gce"),
        ({"loss__kind": None}, "loss.kind is missing; name a value one of logconf, xent"),
        ({"loss__kind": "xent"}, "loss.logconf.aux is not open in b here; it leaves open loss.kind,"),
        ({"optim__adamw__batch_size": 64}, "optim.adamw.batch_size must be one of 16, 32, got 64"),
        ({"optim__adamw__epochs": 2}, "optim.adamw.epochs is not open in b here"),
        ({"student__kind": "probe"}, "student.kind is not open in b here"),
    ],
)
def test_what_the_branch_does_not_hold_is_refused_with_place_value_and_remedy(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{1,400}$") as refused:
        named(**changes)
    assert said in str(refused.value)


def test_a_value_that_is_named_twice_is_refused() -> None:
    twice = [NamedValue(name="loss.kind", value="xent")] * 2
    with pytest.raises(ValueError, match=r"loss\.kind is named twice"):
        named_method(BRANCH, twice, Method())
