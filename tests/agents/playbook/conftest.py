"""Findings in few words, and methods drawn from a branch."""

import random

from pydantic import ValidationError

from agents.findings.findings import BranchFinding, Findings, TrialFinding, TrialState
from agents.language.catalogue import param_specs
from agents.language.proposal import Branch, Choice, Fixed, Param, Range, with_components
from trainers.component import Component
from trainers.components.optim import Adamw
from trainers.method import SLOTS, Abilities, Method

ANY = Abilities(prior=True, intermediates=4, pairs=True, panel=True)
NAIVE = Method(optim=Adamw(lr=1e-3, epochs=3, batch_size=16))


def findings(
    branches: list[BranchFinding], trials: list[TrialFinding], round: int = 2, naive: Method = NAIVE
) -> Findings:
    return Findings(
        abilities=ANY,
        round=round,
        weak_acc=0.75,
        weak_se=0.01,
        ceiling_acc=0.97,
        ceiling_se=0.01,
        naive=naive,
        branches=tuple(branches),
        trials=tuple(trials),
        trials_left=40,
    )


def trial(
    branch: str,
    method: Method,
    pgr: float | None,
    *,
    state: TrialState = "completed",
    se: float | None = 0.03,
    name: str = "t",
) -> TrialFinding:
    return TrialFinding(
        trial=name,
        branch=branch,
        method=method,
        seed=0,
        state=state,
        pgr=pgr,
        se=se,
        curve=(),
        cause=None,
        train_s=1.0,
    )


ATTEMPTS = 20  # of search.studies.branch_sampler, too


def drawn(branch: Branch, rng: random.Random, naive: Method = NAIVE) -> Method:
    """A method of the branch. As in a search, combinations that cannot work together are left out."""
    for _ in range(ATTEMPTS):
        try:
            return combined(branch, rng, naive)
        except ValidationError:
            continue
    raise AssertionError(f"{branch.name} shows no method that can work in {ATTEMPTS} draws")


def combined(branch: Branch, rng: random.Random, naive: Method) -> Method:
    components: dict[str, Component] = {}
    for slot in branch.slots:
        option = rng.choice(slot.options)
        kind = SLOTS[slot.slot][option.component]
        specs = param_specs(kind)
        values = {param.name: drawn_value(param, rng) for param in option.params}
        whole = {k: round(float(v)) if specs[k].type == "integer" else v for k, v in values.items()}
        components[slot.slot] = kind.model_validate(whole)
    return with_components(naive, components)


def drawn_value(param: Param, rng: random.Random) -> float | str:
    match param:
        case Fixed():
            return param.value
        case Choice():
            return rng.choice(param.values)
        case Range():
            return rng.uniform(param.low, param.high)


def params(branch: Branch, slot: str) -> dict[str, Param]:
    [option] = next(s.options for s in branch.slots if s.slot == slot)
    return {param.name: param for param in option.params}
