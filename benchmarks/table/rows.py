"""The methods of a table: the playbook's and random ones, mixtures, naive, and naive in disguise."""

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from agents.language.proposal import Branch, Proposal, Slot, with_components
from agents.language.validation import valid_branches
from agents.playbook.growth import explored
from agents.playbook.literature import literature
from benchmarks.table.settings import ABILITIES, TableSettings
from search.policy.rungs import steps_of_a_training
from search.studies.sampler import MethodSampler
from trainers.component import Frozen
from trainers.components.losses import Bootstrap, Entropy, LogConf, Sce, Window
from trainers.components.selection import Confidence, Curriculum, Disagreement
from trainers.components.staging.sequence import total_length
from trainers.components.students import Probe
from trainers.method import Method

# Of the methods, by origin. A search that joins what did best must find the joint method among the rows: of
# the 640 methods of a whole table there is one for each pair of published spaces that is told from others.
SHARES = {"playbook": 0.25, "mix": 0.55, "random": 0.2}
OF_A_BRANCH = 6  # methods of a random branch
STEPS = (8, 12)  # optimizer steps of a fine-tuning


class Row(Frozen):
    """A method of the table. branch: the space that it was drawn from. origin: who proposes this space."""

    method: Method
    branch: str
    origin: str


def draw_rows(settings: TableSettings) -> tuple[list[Row], list[Branch]]:
    """The rows of a table, no two of the same method, and the random branches; the same for equal settings.

    The first row is naive, the next are naive in disguise.
    """
    naive, rng = settings.naive, np.random.default_rng(settings.seed)
    chance = list(islice(_random_branches(naive, settings.seed), _branches_of_chance(settings)))
    published = sound(literature(naive), naive)
    rows = [Row(method=naive, branch="naive", origin="naive")]
    rows += [Row(method=method, branch="disguise", origin="disguise") for method in disguises(naive)]
    by_origin = {
        "playbook": _drawn(published, "playbook", naive, rng),
        "mix": _drawn(_mixed(published, naive, rng), "mix", naive, rng),
        "random": _drawn(chance, "random", naive, rng),
    }
    known, trained = {row.method.plainest.digest for row in rows}, Counter[str]()
    most = math.ceil(settings.fine_tuned / 2)
    left = settings.methods - len(rows)
    for origin, share in SHARES.items():
        count = round(share * left) if origin != "random" else settings.methods - len(rows)
        for row in by_origin[origin]:
            if count == 0:
                break
            student = row.method.student
            row = row.model_copy(update={"method": _affordable(row.method, settings, rng)})
            if row.method.plainest.digest in known:
                continue
            if not isinstance(student, Probe) and (
                trained[student.kind] == most or trained.total() - trained["probe"] == settings.fine_tuned
            ):
                continue
            known.add(row.method.plainest.digest)
            trained[student.kind] += 1
            rows.append(row)
            count -= 1
    return rows, chance


def _branches_of_chance(settings: TableSettings) -> int:
    return max(4, round(SHARES["random"] * settings.methods / OF_A_BRANCH))


def disguises(naive: Method) -> list[Method]:
    """Methods whose components compute what naive's do, under other names."""
    found = [
        with_components(naive, {slot: component})
        for slot, component in (
            ("loss", LogConf(aux=0)),
            ("loss", Entropy(aux=0)),
            ("loss", Bootstrap(beta=1)),
            ("loss", Window(radius=0.5)),
            ("loss", Sce(a=0.5, b=0)),
            ("select", Confidence(share=1)),
            ("select", Disagreement(share=0)),
            ("select", Curriculum(share=1, lr_scale=1)),
        )
    ]
    assert all(method.plainest == naive.plainest for method in found)
    return found


def is_disguise(method: Method, naive: Method) -> bool:
    """Whether a method computes what naive does, wherever it stops."""
    whole = method.optim.model_copy(update={"stop": naive.optim.stop})
    return with_components(method, {"optim": whole}).plainest == naive.plainest


def sound(branches: Sequence[Branch], naive: Method) -> list[Branch]:
    """The branches that can run on a table, each by itself."""
    return [
        branch
        for one in branches
        for branch in valid_branches(
            Proposal(branches=(one,), rationale=""),
            naive=naive,
            known_branches=(),
            known_methods=(),
            abilities=ABILITIES,
        )
    ]


def _random_branches(naive: Method, seed: int) -> Iterator[Branch]:
    """What a proposer that draws components and ranges at random proposes."""
    rng, taken = random.Random(f"random {seed}"), set[str]()
    while True:
        for branch in explored(naive, taken, rng, 100):
            for found in sound([branch], naive):
                taken.add(found.name)
                yield found


def _mixed(published: Sequence[Branch], naive: Method, rng: np.random.Generator) -> list[Branch]:
    """Two published spaces in one, as growth recombines them: the second adds the slots it alone changes.

    First come those with components that no earlier one has, all in an order of chance.
    """
    mixed = []
    for first in published:
        for second in published:
            own = {slot.slot: slot for slot in first.slots}
            added = [slot for slot in second.slots if slot.slot not in own]
            if first.name == second.name or not added or first.family == second.family:
                continue
            slots: tuple[Slot, ...] = (*own.values(), *added)
            mixed.append(first.model_copy(update={"name": f"{first.name}+{second.name}", "slots": slots}))
    shuffled = [mixed[i] for i in rng.permutation(len(mixed))]
    first_of_kind = {_components(branch): branch for branch in reversed(shuffled)}
    return sorted(shuffled, key=lambda branch: first_of_kind[_components(branch)] is not branch)


def _components(branch: Branch) -> frozenset[tuple[str, str]]:
    """What a branch offers in its slots, without its numbers."""
    return frozenset((slot.slot, option.component) for slot in branch.slots for option in slot.options)


def _drawn(branches: Sequence[Branch], origin: str, naive: Method, rng: np.random.Generator) -> Iterator[Row]:
    """Methods of each branch in turn, without end."""
    sampler = MethodSampler(int(rng.integers(2**31)))
    while True:
        for branch in branches:
            try:
                method = sampler.draw(branch, naive, None).method
            except ValueError:  # components that cannot work together
                continue
            if method.refused(ABILITIES) is None:
                yield Row(method=method, branch=branch.name, origin=origin)


def _affordable(method: Method, settings: TableSettings, rng: np.random.Generator) -> Method:
    """The method, but a fine-tuning of few steps."""
    if isinstance(method.student, Probe):
        return method
    steps = steps_of_a_training(method, settings.transfer)
    wanted = int(rng.integers(STEPS[0], STEPS[1] + 1)) / total_length(method.sequence())
    epochs = max(0.1, method.optim.epochs * min(1.0, wanted / steps))
    return with_components(method, {"optim": method.optim.model_copy(update={"epochs": epochs})})
