"""Spaces suggested by published work, fitted to the catalogue and the naive baseline.

Each space is narrow enough for six to ten trials. Learning rates and epochs are multiples of the naive
baseline's, because a good learning rate depends on the model and a good length on the data.
"""

import math

from agents.language.catalogue import ParamSpec, param_specs
from agents.language.proposal import Branch, Choice, Family, Fixed, Option, Param, Range, Slot, Value
from trainers.method import SLOTS, Method

Multiples = tuple[float, float]

# Good learning rates of students, as multiples of a full fine-tuning's: the middles of what the ideas search.
RATES = {"full": 1.0, "lora": 10**0.5, "probe": 10.0}


def rates_of(student: str, naive: Method, multiples: Multiples) -> Multiples:
    """Multiples of the naive learning rate for another student, from those for the naive one."""
    low, high = (multiple * RATES[student] / RATES[naive.student.kind] for multiple in multiples)
    return low, high


def span(spec: ParamSpec, low: float, high: float, *, log: bool) -> Range | Fixed:
    """The range cut to the parameter's bounds, to three digits; a fixed value if the cut range is empty."""
    low, high = _cut(spec, low), _cut(spec, high)
    if low >= high:
        return Fixed(name=spec.name, value=int(low) if spec.type == "integer" else low)
    return Range(name=spec.name, low=low, high=high, log=log and low > 0)


def _cut(spec: ParamSpec, value: float) -> float:
    value = float(round(value)) if spec.type == "integer" else float(f"{value:.3g}")
    low = -math.inf if spec.low is None else spec.low
    high = math.inf if spec.high is None else spec.high
    return min(max(value, low), high)


def optim_slot(naive: Method, *, lr: Multiples, epochs: Multiples, more: tuple[Param, ...] = ()) -> Slot:
    """The naive optimizer, its learning rate and epochs searched between multiples of their values."""
    specs = param_specs(type(naive.optim))
    params: dict[str, Param] = {
        name: Fixed(name=name, value=getattr(naive.optim, name))
        for name, spec in specs.items()
        if getattr(naive.optim, name) != spec.default and spec.type != "other"
    }
    params |= {param.name: param for param in more}
    for name, (low, high) in (("lr", lr), ("epochs", epochs)):
        own = getattr(naive.optim, name)
        params[name] = span(specs[name], own * low, own * high, log=True)
    return Slot(slot="optim", options=(Option(component=naive.optim.kind, params=tuple(params.values())),))


def literature(naive: Method) -> tuple[Branch, ...]:
    """The suggested branches whose components exist, most promising first."""
    fitted = (_fitted(branch, naive, lr, epochs) for branch, lr, epochs in _IDEAS)
    return tuple(branch for branch in fitted if branch is not None)


def _fitted(branch: Branch, naive: Method, lr: Multiples, epochs: Multiples) -> Branch | None:
    slots = []
    more: tuple[Param, ...] = ()
    if any(slot.slot == "student" for slot in branch.slots):
        lr = rates_of("full", naive, lr)  # an idea's own student has multiples of a full fine-tuning's rate
    for slot in branch.slots:
        if slot.slot == "optim":
            more = slot.options[0].params
            continue
        present = tuple(o for o in slot.options if o.component in SLOTS.get(slot.slot, {}))
        if not present:
            return None
        slots.append(Slot(slot=slot.slot, options=tuple(_within(slot.slot, option) for option in present)))
    slots.append(optim_slot(naive, lr=lr, epochs=epochs, more=more))
    return branch.model_copy(update={"slots": tuple(slots)})


def _within(slot: str, option: Option) -> Option:
    specs = param_specs(SLOTS[slot][option.component])
    params = tuple(
        span(specs[p.name], p.low, p.high, log=p.log) if isinstance(p, Range) else p
        for p in option.params
        if p.name in specs
    )
    return Option(component=option.component, params=params)


def _range(name: str, low: float, high: float, *, log: bool = False) -> Range:
    return Range(name=name, low=low, high=high, log=log)


def _choice(name: str, *values: Value) -> Choice:
    return Choice(name=name, values=values)


def _option(component: str, *params: Param) -> Option:
    return Option(component=component, params=params)


def _idea(
    name: str,
    family: Family,
    hypothesis: str,
    *,
    lr: Multiples = (1 / 3, 1.5),
    epochs: Multiples = (1 / 3, 1),
    **slots: tuple[Option, ...],
) -> tuple[Branch, Multiples, Multiples]:
    filled = tuple(Slot(slot=slot, options=options) for slot, options in slots.items())
    return Branch(name=name, family=family, hypothesis=hypothesis, parent=None, slots=filled), lr, epochs


_IDEAS = (
    _idea(
        "early-stopping",
        "regularization",
        "A student learns the concept before it learns its supervisor's mistakes, so less training on "
        "the weak labels recovers more of the gap (Burns et al., 2023).",
        lr=(1 / 10, 3),
        epochs=(1 / 10, 1),
        optim=(_option("adamw", _range("weight_decay", 0, 0.1)),),
    ),
    _idea(
        "confident-only",
        "filtering",
        "The weak labels that the supervisor is sure of are more often right, so training on them alone "
        "passes on fewer mistakes (Guo & Yang, 2024).",
        select=(_option("confidence", _range("share", 0.25, 0.9), _choice("balanced", True, False)),),
    ),
    _idea(
        "confidence-loss",
        "loss",
        "Adding the student's own hardened predictions to the target lets it disagree with the "
        "supervisor where it is sure (Burns et al., 2023).",
        loss=(
            _option(
                "logconf",
                _range("aux", 0.2, 1),
                _range("warmup", 0, 0.5),
                _choice("threshold", "weak_mean", "half"),
            ),
        ),
    ),
    _idea(
        "frozen-probe",
        "internals",
        "A linear read-out of the frozen student has too little room to imitate the supervisor's mistakes "
        "and keeps to what pretraining already separates (Burns et al., 2023).",
        lr=(1, 100),
        epochs=(1 / 3, 2),
        student=(_option("probe", _range("layer", 0.4, 1)),),
    ),
    _idea(
        "softened-labels",
        "distillation",
        "Probabilities keep the supervisor's doubt, so its unsure mistakes pull less than hard labels do "
        "(Hinton et al., 2015).",
        labels=(_option("soft", _range("temperature", 0.3, 3, log=True)),),
    ),
    _idea(
        "robust-losses",
        "loss",
        "A loss that grows slowly on examples the student contradicts is less drawn to wrong labels "
        "(Zhang & Sabuncu, 2018; Wang et al., 2019; Reed et al., 2015).",
        loss=(
            _option("gce", _range("q", 0.2, 0.9)),
            _option("sce", _range("a", 0.05, 1, log=True)),
            _option("bootstrap", _range("beta", 0.5, 0.95)),
        ),
    ),
    _idea(
        "confident-then-soft",
        "filtering",
        "Dropping the labels that the supervisor is least sure of and softening the rest guards against "
        "both kinds of mistake (Guo & Yang, 2024; Hinton et al., 2015).",
        select=(_option("confidence", _range("share", 0.4, 0.9)),),
        labels=(_option("soft", _range("temperature", 0.3, 2, log=True)),),
    ),
    _idea(
        "confident-probe",
        "internals",
        "A frozen read-out fitted to confident labels only joins the two strongest guards against "
        "imitation (Burns et al., 2023; Guo & Yang, 2024).",
        lr=(1, 100),
        epochs=(1 / 3, 2),
        student=(_option("probe", _range("layer", 0.4, 1)),),
        select=(_option("confidence", _range("share", 0.25, 0.9)),),
    ),
    _idea(
        "balanced-labels",
        "weighting",
        "A biased supervisor calls one class too often, so labels moved to an even balance are more often "
        "right (Burns et al., 2023).",
        labels=(_option("balanced"),),
    ),
    _idea(
        "smoothed-labels",
        "regularization",
        "Labels pulled towards the middle bound what a wrong one can cost (Lukasik et al., 2020).",
        labels=(_option("smoothed", _range("epsilon", 0.05, 0.6)),),
    ),
    _idea(
        "adapters",
        "regularization",
        "Low-rank updates move the student less than full fine-tuning, so it imitates less "
        "(Hu et al., 2022; Biderman et al., 2024).",
        lr=(1, 10),
        student=(_option("lora", _range("rank", 2, 32, log=True), _choice("target", "all", "attention")),),
    ),
    _idea(
        "disagreement-filter",
        "filtering",
        "Where a probe of the strong model contradicts the weak label, the label is likelier to be wrong "
        "(Northcutt et al., 2021).",
        select=(
            _option("disagreement", _range("share", 0.1, 0.5)),
            _option("overlap_density", _range("share", 0.3, 0.8)),
            _option("small_loss", _range("share", 0.5, 0.9)),
        ),
    ),
    _idea(
        "denoised-labels",
        "distillation",
        "Labels corrected by the strong model's own features or by a model of the supervisor's errors hold "
        "fewer mistakes (Dawid & Skene, 1979).",
        labels=(_option("soft"),),
        repair=(
            _option("noisy_channel", Fixed(name="prior", value="head")),
            _option("neighbours", _range("k", 5, 50, log=True), _range("share", 0.3, 1)),
        ),
    ),
    _idea(
        "curriculum",
        "curriculum",
        "Confident examples first fix the concept before the doubtful ones arrive (Bengio et al., 2009).",
        select=(_option("curriculum", _range("share", 0.3, 0.8), _range("switch", 0.3, 0.8)),),
    ),
    _idea(
        "self-sharpening-losses",
        "loss",
        "A student that is pushed to be sure of itself settles the examples on which the labels are weak "
        "(Grandvalet & Bengio, 2004; Burns et al., 2023).",
        loss=(
            _option("entropy", _range("aux", 0.2, 0.8)),
            _option("window", _range("radius", 0.05, 0.4)),
        ),
    ),
    _idea(
        "divergences",
        "distillation",
        "The reverse divergence, or a product with the student's own answer, follows the supervisor less "
        "where it is unsure (Gu et al., 2024; Burns et al., 2023).",
        labels=(_option("soft", _range("temperature", 0.3, 3, log=True)),),
        loss=(_option("reverse_kl"), _option("product", _range("alpha", 0.5, 2, log=True))),
    ),
    _idea(
        "self-training",
        "self-training",
        "A second student taught by the first starts from labels that are better than the supervisor's "
        "(Burns et al., 2023).",
        stages=(
            _option("self_train", _range("rounds", 1, 3), _choice("targets", "confident", "soft", "hard")),
        ),
    ),
    _idea(
        "averaged-students",
        "ensemble",
        "Students from different seeds make different mistakes, and averaging them removes some "
        "(Lakshminarayanan et al., 2017).",
        stages=(_option("ensemble", _range("members", 3, 5), _choice("average", "mean", "trimmed")),),
    ),
    _idea(
        "elicited-labels",
        "elicitation",
        "What the strong model answers unprompted by weak labels does not share the supervisor's mistakes "
        "(Burns et al., 2022).",
        labels=(_option("soft"),),
        repair=(_option("elicited", _range("strength", 0.2, 0.8)),),
    ),
)
