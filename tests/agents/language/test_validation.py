import json
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, model_validator

from agents.language.proposal import Branch, Choice, Fixed, Slot
from agents.language.validation import problems, read_proposal, valid_branches
from tests.agents.language.conftest import ANY, AUX, branch, found, option, proposal, ranged, slot
from trainers.component import Component
from trainers.components.losses import LogConf
from trainers.components.students import Probe
from trainers.method import SLOTS, Abilities, Method
from trainers.models.settings import ToyModel
from trainers.training.memory.model_size import room_for
from trainers.training.settings import EngineConfig

IN_OPTION = "branches[0].slots[0].options[0]"
IN_PARAM = f"{IN_OPTION}.params[0]"


def test_a_good_proposal_has_no_problem() -> None:
    good = branch(
        AUX,
        slot("select", option("all"), option("confidence", Fixed(name="share", value=1))),
        slot("optim", option("adamw", ranged(16, 64, name="batch_size", log=True))),
        parent="old",
    )
    assert found(proposal(good), known_branches=["old"]) == []


@pytest.mark.parametrize(
    ("slots", "sentence"),
    [
        (
            [slot("los", option("logconf"))],
            "branches[0].slots[0]: there is no slot 'los'; did you mean loss?",
        ),
        (
            [slot("zzz", option("logconf"))],
            f"branches[0].slots[0]: there is no slot 'zzz'; there are {', '.join(SLOTS)}",
        ),
        (
            [slot("loss", option("logcof"))],
            f"{IN_OPTION}: loss has no component 'logcof'; did you mean logconf?",
        ),
        (
            [slot("stages", option("zzz"))],
            f"{IN_OPTION}: stages has no component 'zzz'; there are {', '.join(SLOTS['stages'])}",
        ),
        (
            [slot("loss", option("logconf", Fixed(name="au", value=0.5)))],
            f"{IN_PARAM}: loss.logconf has no parameter 'au'; did you mean aux?",
        ),
        (
            [slot("loss", option("xent", Fixed(name="aux", value=0.5)))],
            f"{IN_PARAM}: loss.xent has no parameter 'aux'; there is none",
        ),
        (
            [slot("loss", option("logconf", ranged(0.5, 3)))],
            f"{IN_PARAM}: loss.logconf.aux must lie in [0, 1], got high 3",
        ),
        (
            [slot("loss", option("logconf", ranged(-1, 0.5)))],
            f"{IN_PARAM}: loss.logconf.aux must lie in [0, 1], got low -1",
        ),
        (
            [slot("loss", option("logconf", ranged(0.8, 0.2)))],
            f"{IN_PARAM}: loss.logconf.aux has low 0.8 above high 0.2; swap them",
        ),
        (
            [slot("loss", option("logconf", ranged(0.5, 0.5)))],
            f"{IN_PARAM}: loss.logconf.aux has an empty range, low and high are both 0.5; "
            "fix it at one value instead",
        ),
        (
            [slot("loss", option("logconf", ranged(0, 0.5, log=True)))],
            f"{IN_PARAM}: loss.logconf.aux needs low above 0 on a log scale, got low 0",
        ),
        (
            [slot("optim", option("adamw", ranged(8, 16.5, name="batch_size")))],
            f"{IN_PARAM}: optim.adamw.batch_size must be an integer in [1, 1024], got high 16.5",
        ),
        (
            [slot("optim", option("adamw", Fixed(name="batch_size", value=2.5)))],
            f"{IN_PARAM}: optim.adamw.batch_size must be an integer in [1, 1024], got 2.5",
        ),
        (
            [slot("optim", option("adamw", Fixed(name="batch_size", value=True)))],
            f"{IN_PARAM}: optim.adamw.batch_size must be an integer in [1, 1024], got True",
        ),
        (
            [slot("loss", option("logconf", Fixed(name="aux", value=10**400)))],
            f"{IN_PARAM}: loss.logconf.aux must lie in [0, 1], got an integer of 1329 bits",
        ),
        (
            [slot("loss", option("logconf", Fixed(name="aux", value="0.5")))],
            f"{IN_PARAM}: loss.logconf.aux must be a number in [0, 1], got '0.5'",
        ),
        (
            [slot("loss", option("logconf", Fixed(name="aux", value=False)))],
            f"{IN_PARAM}: loss.logconf.aux must be a number in [0, 1], got False",
        ),
        (
            [slot("optim", option("adamw", Fixed(name="schedule", value="step")))],
            f"{IN_PARAM}: optim.adamw.schedule must be one of linear, cosine, constant, got 'step'",
        ),
        (
            [slot("optim", option("adamw", ranged(0, 1, name="schedule")))],
            f"{IN_PARAM}: optim.adamw.schedule takes one of linear, cosine, constant, "
            "which a range cannot hold; use a choice",
        ),
        (
            [slot("select", option("confidence", Fixed(name="balanced", value=1)))],
            f"{IN_PARAM}: select.confidence.balanced must be true or false, got 1",
        ),
        (
            [slot("select", option("confidence", ranged(0, 1, name="balanced")))],
            f"{IN_PARAM}: select.confidence.balanced takes true or false, "
            "which a range cannot hold; use a choice",
        ),
        (
            [slot("loss", option("logconf", Choice(name="aux", values=())))],
            f"{IN_PARAM}: loss.logconf.aux needs 1 to 16 values to choose among, got 0",
        ),
        (
            [slot("loss", option("logconf", Choice(name="aux", values=tuple(i / 100 for i in range(17)))))],
            f"{IN_PARAM}: loss.logconf.aux needs 1 to 16 values to choose among, got 17",
        ),
        (
            [slot("loss", option("logconf", Choice(name="aux", values=(0.5, 1, 1.0))))],
            f"{IN_PARAM}: loss.logconf.aux must list 1 at most once, got 2 times",
        ),
        (
            [slot("loss", option("logconf", Choice(name="aux", values=(0.5, 1.5))))],
            f"{IN_PARAM}: loss.logconf.aux must lie in [0, 1], got 1.5",
        ),
        (
            [slot("loss", option("logconf", ranged(0.1, 0.2), ranged(0.3, 0.4)))],
            f"{IN_OPTION}.params: loss.logconf must name 'aux' at most once, got 2 times",
        ),
        (
            [slot("loss", option("logconf", ranged(0.1, 0.2)), option("logconf", ranged(0.3, 0.4)))],
            "branches[0].slots[0].options: loss must list 'logconf' at most once, got 2 times; merge them",
        ),
        ([slot("loss")], "branches[0].slots[0].options: loss needs 1 to 8 options, got 0"),
        ([AUX, AUX], "branches[0].slots: the slot 'loss' must be named at most once, got 2 times"),
        (
            [],
            "branches[0].slots: its only method has been run already; give the branch room or change it",
        ),
        (
            [slot("loss", option("xent"))],
            "branches[0].slots: its only method has been run already; give the branch room or change it",
        ),
    ],
)
def test_a_problem_is_one_sentence_that_names_the_place(slots: list[Slot], sentence: str) -> None:
    assert found(proposal(branch(*slots))) == [sentence]


def test_a_slot_has_at_most_eight_options() -> None:
    said = proposal(branch(slot("loss", *[option(kind) for kind in list(SLOTS["loss"])[:9]])))
    assert found(said) == ["branches[0].slots[0].options: loss needs 1 to 8 options, got 9"]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (branch(AUX, name="!!!"), "branches[0].name: must hold at least one letter or digit"),
        (branch(AUX, name="Old"), "branches[0].name: the name old is taken; give the branch another"),
        (
            branch(AUX, parent="odl"),
            "branches[0].parent: no earlier branch is called 'odl'; did you mean old?",
        ),
        (
            branch(AUX, hypothesis=" "),
            "branches[0].hypothesis: must be one sentence of 1 to 400 characters, got 0",
        ),
        (
            branch(AUX, hypothesis="x" * 401),
            "branches[0].hypothesis: must be one sentence of 1 to 400 characters, got 401",
        ),
    ],
)
def test_a_branch_is_named_and_grounded(said: Branch, sentence: str) -> None:
    assert found(proposal(said), known_branches=["old"]) == [sentence]


def test_a_name_is_taken_once_within_a_proposal() -> None:
    other = branch(slot("loss", option("logconf", ranged(0.3, 0.4))))
    sentence = "branches[1].name: the name b is taken; give the branch another"
    assert found(proposal(branch(AUX), other)) == [sentence]


def test_two_branches_of_a_proposal_differ_in_space() -> None:
    twin = branch(
        slot("loss", option("logconf", ranged(0.2, 0.8), Fixed(name="warmup", value=0.1))), name="c"
    )
    assert LogConf().warmup == 0.1
    sentence = "branches[1].slots: holds the same methods as the branch b; change or drop one of the two"
    assert found(proposal(branch(AUX), twin)) == [sentence]


def test_a_method_already_run_is_no_branch() -> None:
    only = branch(slot("loss", option("logconf", Choice(name="aux", values=(0.3,)))))
    assert found(proposal(only)) == []
    sentence = "branches[0].slots: its only method has been run already; give the branch room or change it"
    assert found(proposal(only), known_methods=[Method(loss=LogConf(aux=0.3))]) == [sentence]
    assert found(proposal(branch(AUX)), known_methods=[Method(loss=LogConf(aux=0.3))]) == []


def test_a_proposal_is_neither_empty_nor_endless() -> None:
    assert found(proposal()) == ["branches: a proposal needs at least one branch"]
    many = [branch(slot("loss", option("logconf", ranged(0, 0.9 - i / 99))), name=f"b{i}") for i in range(17)]
    assert found(proposal(*many)) == ["branches: a proposal has at most 16 branches, got 17"]
    assert (
        len(
            valid_branches(
                proposal(*many), naive=Method(), known_branches=(), known_methods=(), abilities=ANY
            )
        )
        == 16
    )
    long = proposal(branch(AUX), rationale="x" * 8001)
    assert found(long) == ["rationale: must have at most 8000 characters, got 8001"]


def test_combinations_are_bounded() -> None:
    slots = [slot(name, *[option(kind) for kind in list(SLOTS[name])[:8]]) for name in SLOTS]
    count = 1
    for each in slots:
        count *= len(each.options)
    assert count > 256
    sentence = f"branches[0].slots: at most 256 combinations of components, got {count}; split the branch"
    assert found(proposal(branch(*slots))) == [sentence]


def test_the_good_branches_are_kept() -> None:
    bad = branch(slot("loss", option("nothing")), name="bad")
    said = proposal(bad, branch(AUX))
    assert valid_branches(said, naive=Method(), known_branches=(), known_methods=(), abilities=ANY) == (
        said.branches[1],
    )


class Picky(Component):
    """Refuses a low that is not below its high."""

    kind: Literal["picky"] = "picky"
    low: Annotated[float, Field(ge=0, le=1)] = 0.2
    high: Annotated[float, Field(ge=0, le=1)] = 0.8
    names: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> "Picky":
        if self.low >= self.high:
            raise ValueError(f"low must be below high {self.high:g}, got {self.low:g}")
        return self


def test_a_component_that_refuses_its_parameters_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(Method):
        loss: Picky = Picky()  # type: ignore[assignment]

    monkeypatch.setitem(SLOTS, "loss", {"picky": Picky})
    said = proposal(branch(slot("loss", option("picky", ranged(0.1, 0.9, name="low")))))
    sentence = (
        "branches[0].slots: holds a method that cannot run, low must be below high 0.8, got 0.9; "
        "fix or drop one of its components"
    )
    wrong = problems(said, naive=Strict(), known_branches=(), known_methods=(), abilities=ANY)
    assert [str(problem) for problem in wrong] == [sentence]


def test_components_that_a_method_refuses_together_are_a_problem() -> None:
    class Paired(Method):
        @model_validator(mode="after")
        def _pairs(self) -> "Paired":
            if self.loss.kind == "logconf" and self.labels.kind == "soft":
                raise ValueError("logconf needs hard labels")
            return self

    both = branch(AUX, slot("labels", option("hard"), option("soft")))
    wrong = problems(proposal(both), naive=Paired(), known_branches=(), known_methods=(), abilities=ANY)
    assert [str(problem) for problem in wrong] == [
        "branches[0].slots: holds a method that cannot run, logconf needs hard labels; "
        "fix or drop one of its components"
    ]


def test_a_type_without_words_cannot_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SLOTS, "loss", {"picky": Picky})
    said = proposal(branch(slot("loss", option("picky", Fixed(name="names", value="a")))))
    sentence = f"{IN_PARAM}: loss.picky.names cannot be set in a proposal and keeps its default, got 'a'"
    assert found(said) == [sentence]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "proposal"),
        ("[]", "proposal"),
        ("nonsense", "proposal"),
        ("[" * 100_000, "proposal"),
        ('{"branches": []}', "rationale"),
        ('{"branches": [7], "rationale": ""}', "branches[0]"),
        ('{"branches": [], "rationale": "", "more": 1}', "more"),
        ('{"branches": [], "rationale": "", "\\u001b[2J": 1}', "?[2J"),
    ],
)
def test_what_is_no_proposal_is_a_problem(text: str, place: str) -> None:
    answer = read_proposal(text)
    assert isinstance(answer, tuple)
    assert [problem.place for problem in answer] == [place]


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        (("slots", 0, "options", 0, "component"), "is missing, add it: kind of the component, such as `gce`"),
        (("slots", 0, "options", 0, "params", 0, "high"), "is missing, add it: highest value, included"),
        (("parent",), "is missing, add it: earlier branch that it grew from, or null"),
    ],
)
def test_what_a_record_lacks_is_said_with_what_to_add(lacks: tuple[str | int, ...], said: str) -> None:
    whole = proposal(branch(AUX)).model_dump(mode="json")
    record: Any = whole["branches"][0]
    for part in lacks[:-1]:
        record = record[part]
    del record[lacks[-1]]
    answer = read_proposal(json.dumps(whole))
    assert isinstance(answer, tuple)
    assert [(problem.branch, problem.text) for problem in answer] == [(0, said)]


@pytest.mark.parametrize("bound", ["NaN", "Infinity", "-Infinity", "1e999", '"3"', "1" * 5000])
def test_a_bound_that_is_no_number_is_a_problem(bound: str) -> None:
    text = proposal(branch(AUX)).model_dump_json().replace("0.8", bound)
    answer = read_proposal(text)
    assert isinstance(answer, tuple)
    assert {problem.branch for problem in answer} <= {0, None}
    assert all(len(str(problem)) < 500 and "\n" not in str(problem) for problem in answer)


def test_what_the_campaign_does_not_offer_is_refused_with_the_reason() -> None:
    said = proposal(
        branch(slot("repair", option("elicited")), name="one"),
        branch(slot("stages", option("chain")), name="two"),
    )
    wrong = problems(
        said,
        naive=Method(),
        known_branches=(),
        known_methods=(),
        abilities=Abilities(prior=False, intermediates=0),
    )
    assert any("repair.elicited needs a zero-shot answer" in str(one) for one in wrong if one.branch == 0)
    assert any("stages.chain.length must be at most 0" in str(one) for one in wrong if one.branch == 1)


def test_a_student_that_does_not_fit_is_refused_with_place_value_and_remedy() -> None:
    room = room_for(ToyModel(size="strong"), EngineConfig(), 1.0745, 1)
    said = proposal(
        branch(slot("student", option("full")), name="one"),
        branch(slot("student", option("probe")), name="two"),
    )
    abilities = Abilities(prior=True, intermediates=4, room=room)
    naive = Method(student=Probe())
    wrong = problems(said, naive=naive, known_branches=(), known_methods=(), abilities=abilities)
    refusal = next(str(one) for one in wrong if one.branch == 0)
    assert "a method that cannot run here, student.full needs about 1." in refusal
    assert refusal.endswith("but trial.memory_gb is 1.07: set student to lora or probe")
    assert not any("cannot run" in str(one) for one in wrong if one.branch == 1)
