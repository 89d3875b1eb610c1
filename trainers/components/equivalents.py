"""Which components compute the same: the plainest ones in place of those given.

Two losses are the same where their gradients differ by a constant factor, which Adam undoes. Two sequences of
label and repair components, or two selections, are the same where they give the same targets or weights
whatever the evidence.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from trainers.component import Component
from trainers.components.formulas.evidence import random_signals
from trainers.components.formulas.formula import KEPT
from trainers.components.formulas.labels import SAME, LabelFormula, RepairFormula, keeps, random_labels
from trainers.components.formulas.losses import LossFormula, always_like_xent, has_gradient, like_xent
from trainers.components.formulas.weights import WeightFormula, weighs_alike
from trainers.components.labels import LABELS, Balanced, Hard, Label, Median, Smoothed, Soft
from trainers.components.losses import Bootstrap, Entropy, Gce, Kl, LogConf, Loss, Product, Sce, Window, Xent
from trainers.components.repairs import (
    CrossFit,
    Elicited,
    MeanDifference,
    NoisyChannel,
    NoRepair,
    Propagate,
    Repair,
)
from trainers.components.selecting.spread import Spread
from trainers.components.selection import All, Confidence, Curriculum, Disagreement, Selection, SmallLoss
from trainers.components.stages import SelfTrain, Stages
from trainers.components.staging.members import Ensemble, Members, Single, left_out
from trainers.components.staging.refine import Evolve, NoRefine, Refine
from trainers.components.staging.relabel import NoRelabel, Relabel
from trainers.components.weak_labels import Evidence

PLAIN_SELECTIONS: tuple[Component, ...] = (Confidence(share=1), Disagreement(share=0), Spread(share=1))


class Recipe(NamedTuple):
    """The slots that decide what a student learns."""

    labels: Label
    select: Selection
    loss: Loss
    stages: Stages
    repair: Repair = NoRepair()
    second_repair: Repair = NoRepair()
    relabel: Relabel = NoRelabel()
    refine: Refine = NoRefine()
    members: Members = Single()


def plainest(recipe: Recipe) -> Recipe:
    """The recipe by the plainest components that compute the same; the same recipe if they are plain."""
    stages = _plain_stages(recipe.stages)
    select = _plain_select(recipe)
    loss = _plain_loss(recipe._replace(select=select, stages=stages))
    plain = _plain_repairs(recipe._replace(select=select, loss=loss, stages=stages))
    return plain._replace(labels=_plain_labels(plain), members=_plain_members(recipe.members))


def nothing_of_its_own(recipe: Recipe) -> str | None:
    """Why the loss computes nothing of its own on these targets, and the remedy; None if it does."""
    loss = recipe.loss
    if isinstance(loss, Kl) and _is_xent(recipe):
        return (
            "loss kl computes what xent computes, since a label's entropy is a constant: set loss to xent, "
            "or labels to soft and select to small_loss, which ranks examples by it"
        )
    if isinstance(loss, Product) and (loss.alpha, loss.beta) == (0, 1):
        return "loss product has no gradient where alpha is 0 and beta 1: set alpha above 0"
    if isinstance(loss, Product) and _targets_are_hard(recipe):
        return (
            "loss product computes on hard labels what xent computes, since a product with 0 or 1 is that "
            "label again: set loss to xent, or labels to soft"
        )
    if isinstance(loss, Sce) and loss.a == loss.b == 0:
        return "loss sce has no gradient where a and b are 0: set a or b above 0"
    if isinstance(loss, LossFormula):
        return _formula_without_a_gradient_of_its_own(loss, recipe)
    return None


def _formula_without_a_gradient_of_its_own(loss: LossFormula, recipe: Recipe) -> str | None:
    if not has_gradient(loss):
        numbers = ", ".join(f"{name} {value:g}" for name, value in loss.numbers.items())
        return f"loss formula has no gradient with {numbers}: change them"
    if _targets_are_hard(recipe) and always_like_xent(loss.unnumbered, hard=True):
        return (
            "loss formula has on hard labels no gradient but one proportional to that of xent: set loss to "
            "xent, or labels to soft"
        )
    return None


def _is_xent(recipe: Recipe) -> bool:
    return isinstance(plainest(recipe).loss, Xent)


def _targets_are_hard(recipe: Recipe) -> bool:
    """Whether every training of the method has targets of 0 and 1 only."""
    own = isinstance(recipe.stages, SelfTrain) and recipe.stages.targets == "soft"
    return _selected_are_hard(recipe) and not own


def _selected_are_hard(recipe: Recipe) -> bool:
    """Whether the targets from which examples are selected are 0 and 1 only."""
    anew = not isinstance(recipe.relabel, NoRelabel) and recipe.relabel.answer == "soft"
    return _labels_are_hard(recipe) and not anew


def _labels_are_hard(recipe: Recipe) -> bool:
    """Whether the targets made of weak labels are 0 and 1 only."""
    plain = _plain_repairs(recipe)
    steps = (plain.second_repair, plain.repair, plain.labels)
    return _is_hard(next(step for step in steps if not isinstance(step, NoRepair)))


def _is_hard(step: Component) -> bool:
    """Whether a step's labels are 0 and 1 only."""
    match step:
        case Propagate():
            return step.answer == "hard"
        case RepairFormula():
            return step.program.decision
        case LabelFormula():
            return step.program.decision or isinstance(_plain_formula(step), Hard | Median)
        case _:
            return isinstance(step, Hard | Median | CrossFit | MeanDifference)


def _plain_repairs(recipe: Recipe) -> Recipe:
    """The recipe without repairs that change nothing, or whose labels the second repair forgets."""
    kept: list[Repair] = []
    for repair in (recipe.repair, recipe.second_repair):
        plain = repair.simplest if isinstance(repair, RepairFormula) else repair
        if not _changes_nothing(plain, after=kept[-1] if kept else recipe.labels):
            kept.append(plain)
    if kept[1:] and _forgets(kept[1]):
        del kept[0]
    repair, second_repair = (*kept, NoRepair(), NoRepair())[:2]
    return recipe._replace(repair=repair, second_repair=second_repair)


def _changes_nothing(repair: Repair, *, after: Component) -> bool:
    if isinstance(repair, RepairFormula):
        return keeps(repair, hard=_is_hard(after))
    return repair in (NoRepair(), Elicited(strength=0))


def _forgets(repair: Repair) -> bool:
    """Whether a repair's labels don't depend on those of the step before."""
    return repair.forgets if isinstance(repair, RepairFormula) else repair == Elicited(strength=1)


def _plain_labels(recipe: Recipe) -> Label:
    """The plainest labels that do the same before these plain repairs, or without one in this loss."""
    labels = Soft() if recipe.labels == Smoothed(epsilon=0) else recipe.labels
    labels = _plain_formula(labels) if isinstance(labels, LabelFormula) else labels
    if _labels_are_read_again(recipe):
        return labels
    match recipe.repair:
        case repair if _forgets(repair):
            return Hard()  # the strong model's answer takes their place
        case NoRepair():
            sides_alone = isinstance(recipe.loss, Gce)
        case repair:
            sides_alone = isinstance(repair, NoisyChannel) and repair.prior == "zero_shot"
    return Hard() if sides_alone and isinstance(labels, Soft | Smoothed) else labels


@lru_cache(KEPT)
def _plain_formula(labels: LabelFormula) -> Label:
    """The labels without parameters that the formula makes of random evidence, else the simplest formula."""
    weak = random_signals()["w"]
    evidence = Evidence(weak_probs=weak, features=lambda: weak[:, None], prior=lambda: weak, seed=0)
    made = random_labels(labels)
    for plain in (Hard(), Soft(), Median(), Median(rate="weak"), Balanced()):
        if np.allclose(made, LABELS[type(plain)](plain, evidence), atol=SAME):
            return plain
    return labels.simplest


def _labels_are_read_again(recipe: Recipe) -> bool:
    """Whether what follows the first training asks for more than its targets' sides."""
    balances = isinstance(recipe.refine, Evolve) and recipe.refine.rate == "weak"
    return balances or not isinstance(recipe.relabel, NoRelabel)


def _plain_select(recipe: Recipe) -> Selection:
    match select := recipe.select:
        case WeightFormula():
            return All() if weighs_alike(select, hard=_selected_are_hard(recipe)) else select.simplest
        case SmallLoss(share=1) | Curriculum(share=1, lr_scale=1):
            return All()
        case _:
            return All() if select in PLAIN_SELECTIONS else select


def _plain_stages(stages: Stages) -> Stages:
    if isinstance(stages, SelfTrain):
        targets = "hard" if stages.targets == "confident" and stages.share == 1 else stages.targets
        share = stages.share if targets == "confident" else SelfTrain().share
        return SelfTrain(rounds=stages.rounds, targets=targets, share=share, fresh=stages.fresh)
    return stages


def _plain_members(members: Members) -> Members:
    """A trimmed mean that leaves one or two in the middle is a median; an unused trim is the default."""
    if not isinstance(members, Ensemble):
        return members
    some = range(1, members.count + 1)  # a trial that stops early has fewer
    if members.aggregate == "trimmed" and any(m - 2 * left_out(m, members.trim) > 2 for m in some):
        return members
    if members.aggregate == "mean" or members.count == 2:
        return Ensemble(count=members.count)
    return Ensemble(count=members.count, aggregate="median")


def _plain_loss(recipe: Recipe) -> Loss:
    """Of cross-entropy, entropy and gce, the one that computes the same as the recipe's loss, else that."""
    match recipe.loss:
        case LogConf(aux=0) | Entropy(aux=0) | Bootstrap(beta=1) | Window(radius=0.5):
            return Xent()
        case Product(alpha=1, beta=0):
            return Xent()
        case Product(alpha=alpha) if alpha > 0 and _targets_are_hard(recipe):
            return Xent()
        case Kl() if not (isinstance(recipe.select, SmallLoss) and not _labels_are_hard(recipe)):
            return Xent()  # only small_loss compares losses, and so their constants, between examples
        case Sce(a=a, b=0) if a > 0:
            return Xent()
        case Sce(a=0, b=b) if b > 0 and _targets_are_hard(recipe):
            return Gce(q=1)
        case Bootstrap(beta=beta):
            return Entropy(aux=round(1 - beta, 12), warmup=0)
        case LossFormula() as loss:
            return Xent() if like_xent(loss, hard=_targets_are_hard(recipe)) else loss.simplest
        case loss:
            return loss
