"""Published methods as far as the catalogue can say them, by name.

Of the five rungs that "Automated Weak-to-Strong Research" (2026) describes, overlap density and the MDL
curriculum are said whole; the former leaves the width of its log-Gaussian open, which is 1 here. So is the
first, consistency search with an evolution strategy, on pairs, and the second, the EM posterior, where the
strong model can be asked: its channel depends on how sure the weak label and the prior are and on how margins
differ, but not on whether the two agree, which is the label that the channel has to explain. Of epiplexity
the labels of a fine-tuned student, in two folds, stand here alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.language.proposal import with_components
from trainers.component import Component
from trainers.components.labels import Balanced, Median, Soft
from trainers.components.losses import Gce, LogConf
from trainers.components.orders import BothOrders, PlainInputs
from trainers.components.repairing.per_example import ChannelPerExample
from trainers.components.repairs import (
    Consistency,
    CrossFit,
    EmHead,
    MeanDifference,
    Neighbours,
    NoisyChannel,
    NoRepair,
    Propagate,
)
from trainers.components.selection import (
    Agreement,
    Confidence,
    Curriculum,
    Disagreement,
    OverlapDensity,
    SmallLoss,
)
from trainers.components.stages import SelfTrain
from trainers.components.staging.members import Ensemble
from trainers.components.staging.refine import Evolve, evolved_names
from trainers.components.staging.relabel import OutOfFold, Posterior
from trainers.method import SLOTS, Abilities, Method


@dataclass(frozen=True, kw_only=True)
class Published:
    """A method of the literature: its components beside naive's. epochs: as a multiple of naive's."""

    source: str
    components: Mapping[str, Component] = field(default_factory=dict)
    epochs: float = 1.0


PUBLISHED: dict[str, Published] = {
    "logconf": Published(source="Burns et al. 2023", components={"loss": LogConf(aux=0.8)}),
    "soft_labels": Published(source="Hinton et al. 2015", components={"labels": Soft()}),
    "balanced": Published(source="EleutherAI 2024", components={"labels": Balanced()}),
    "confidence_balanced": Published(
        source="Guo & Yang 2024", components={"select": Confidence(share=0.5, balanced=True)}
    ),
    "disagreement": Published(source="Northcutt et al. 2021", components={"select": Disagreement(share=0.3)}),
    "overlap_density": Published(
        source="Shin et al. 2024; the third of the five rungs",
        components={"select": OverlapDensity(share=0.5)},
    ),
    "mdl_curriculum": Published(  # two epochs on one half, then three on everything, at half the rate
        source="the fourth of the five rungs",
        components={"labels": Soft(), "select": Curriculum(share=0.5, switch=0.25, lr_scale=0.5)},
        epochs=0.8,
    ),
    "noisy_channel_head": Published(
        source="Dawid & Skene 1979", components={"labels": Soft(), "repair": NoisyChannel(prior="head")}
    ),
    "neighbours": Published(
        source="Bahri et al. 2020", components={"labels": Soft(), "repair": Neighbours(k=20)}
    ),
    "averaged_answers": Published(
        source="Wang et al. 2023", components={"inputs": PlainInputs(answer="averaged")}
    ),
    "both_orders": Published(source="Wang et al. 2023", components={"inputs": BothOrders()}),
    "consistency": Published(
        source="Burns et al. 2022, CCS", components={"labels": Soft(), "repair": Consistency()}
    ),
    "consistency_half": Published(
        source="Burns et al. 2022, CCS", components={"labels": Soft(), "repair": Consistency(strength=0.5)}
    ),
    "agreement": Published(
        source="step 2 of the first of the five rungs", components={"select": Agreement()}
    ),
    "consistency_search": Published(  # one epoch, both orders, sixteen seeds without 15% at either end
        source="the first of the five rungs",
        components={
            "labels": Soft(),
            "select": Agreement(),
            "inputs": BothOrders(),
            "refine": Evolve(),
            "members": Ensemble(count=16, aggregate="trimmed", trim=0.15),
        },
        epochs=0.2,
    ),
    "median": Published(source="Zhu et al. 2003, class masses", components={"labels": Median()}),
    "median_propagate": Published(
        source="Zhou et al. 2004", components={"labels": Median(), "repair": Propagate()}
    ),
    "median_crossfit": Published(
        source="Lee 2013, out of fold", components={"labels": Median(), "repair": CrossFit()}
    ),
    "median_em_head": Published(
        source="Raykar et al. 2010", components={"labels": Median(), "repair": EmHead()}
    ),
    "median_mean_difference": Published(
        source="Marks & Tegmark 2023", components={"labels": Median(), "repair": MeanDifference()}
    ),
    "small_loss": Published(source="Han et al. 2018", components={"select": SmallLoss(share=0.6)}),
    "gce": Published(source="Zhang & Sabuncu 2018", components={"loss": Gce()}),
    "self_train_confident": Published(
        source="Xie et al. 2020", components={"stages": SelfTrain(targets="confident")}
    ),
    "ensemble": Published(source="Lakshminarayanan et al. 2017", components={"members": Ensemble(count=5)}),
    "channel_per_example": Published(
        source="Menon et al. 2018",
        components={"labels": Soft(), "repair": ChannelPerExample(prior="head")},
    ),
    "channel_by_features": Published(
        source="Menon et al. 2018",
        components={"labels": Soft(), "repair": ChannelPerExample(prior="head", by="features")},
    ),
    "em_posterior": Published(
        source="the second of the five rungs, its prior a head's instead of zero-shot margins",
        components={"labels": Soft(), "repair": NoisyChannel(prior="head"), "relabel": Posterior(rounds=2)},
    ),
    "em_posterior_zero_shot": Published(
        source="the second of the five rungs",
        components={
            "labels": Soft(),
            "repair": ChannelPerExample(),
            "relabel": Posterior(rounds=2, by="doubt"),
        },
    ),
    "em_posterior_folds": Published(
        source="the same, each student on one half",
        components={
            "labels": Soft(),
            "repair": NoisyChannel(prior="head"),
            "relabel": Posterior(rounds=2, folds=2),
        },
    ),
    "em_posterior_stretched": Published(
        source="the same, students' answers stretched as the repair stretches its head's",
        components={
            "labels": Soft(),
            "repair": NoisyChannel(prior="head"),
            "relabel": Posterior(rounds=2, folds=2, stretched=True),
        },
    ),
    "median_out_of_fold": Published(
        source="the fifth of the five rungs, labels alone",
        components={"labels": Median(), "relabel": OutOfFold(rounds=3)},
    ),
    "evolved": Published(
        source="the first of the five rungs, its evolution alone", components={"refine": Evolve()}
    ),
}


def published(naive: Method, abilities: Abilities) -> dict[str, Method]:
    """The published methods that can run here, with the student and the optimizer of naive."""
    evolves = evolved_names(naive.student)
    found = {
        name: _fitted(one, naive)
        for name, one in PUBLISHED.items()
        if evolves or "refine" not in one.components
    }
    return {name: method for name, method in found.items() if method.refused(abilities) is None}


def is_single(method: Method, naive: Method) -> bool:
    """Whether a method is naive with one other component, its optimizer aside.

    Soft labels do not count before a repair, which works on probabilities.
    """
    changed = {slot for slot in SLOTS if getattr(method, slot) != getattr(naive, slot)} - {"optim"}
    if isinstance(method.labels, Soft) and not isinstance(method.repair, NoRepair):
        changed.discard("labels")
    return len(changed) == 1


def _fitted(one: Published, naive: Method) -> Method:
    optim = naive.optim.model_copy(update={"epochs": naive.optim.epochs * one.epochs})
    return with_components(naive, {**one.components, "optim": optim})
