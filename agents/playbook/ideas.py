"""Spaces suggested by published work, most promising first, with multiples of the naive optimizer's."""

from agents.language.proposal import Branch, Choice, Family, Fixed, Option, Param, Range, Slot, Value

Multiples = tuple[float, float]


def _range(name: str, low: float, high: float, *, log: bool = False) -> Range:
    return Range(name=name, low=low, high=high, log=log)


def _choice(name: str, *values: Value) -> Choice:
    return Choice(name=name, values=values)


def _option(component: str, *params: Param) -> Option:
    return Option(component=component, params=params)


def _trimmed(count: int) -> Option:
    params = (Fixed(name="count", value=count), Fixed(name="aggregate", value="trimmed"))
    return _option("ensemble", *params)


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


# Each a branch, and the multiples of the naive learning rate and epochs that it searches between.
IDEAS = (
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
        select=(
            _option(
                "confidence",
                _range("share", 0.25, 0.9),
                _choice("balanced", True, False),
                _choice("weights", "equal", "graded"),
            ),
        ),
    ),
    _idea(
        "label-propagation",
        "internals",
        "Labels split at their median and spread over nearest neighbours in the strong model's features "
        "agree with what it already tells apart (Zhou et al., 2004).",
        labels=(_option("median", _choice("rate", "half", "weak")),),
        repair=(_option("propagate", _range("k", 8, 30, log=True), _range("alpha", 0.85, 0.99)),),
    ),
    _idea(
        "both-orders",
        "regularization",
        "A student that sees every pair in both orders, and answers by both, cannot lean on a position as "
        "its supervisor does (Wang et al., 2023).",
        inputs=(_option("both_orders", _choice("answer", "averaged", "as_shown")),),
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
        "cross-fitted-labels",
        "internals",
        "Labels that a probe makes anew for examples it has not seen keep what the features explain and lose "
        "the supervisor's mistakes (Northcutt et al., 2021; Marks & Tegmark, 2023).",
        labels=(_option("median", _choice("rate", "half", "weak")),),
        repair=(_option("crossfit", _range("rounds", 2, 8)), _option("mean_difference")),
    ),
    _idea(
        "overlap-density",
        "filtering",
        "Examples that hold both what the supervisor knows and what only the student can read teach the "
        "student most (Shin et al., 2024).",
        select=(
            _option(
                "overlap_density",
                _range("share", 0.3, 0.8),
                _range("k", 5, 30, log=True),
                _choice("weights", "equal", "graded"),
            ),
        ),
    ),
    _idea(
        "em-labels",
        "internals",
        "A model of how the supervisor errs, fitted along with a probe, tells its mistakes from what it "
        "knows (Dawid & Skene, 1979; Raykar et al., 2010).",
        labels=(_option("median"), _option("soft")),
        repair=(
            _option("em_head", _range("iterations", 3, 20, log=True)),
            _option("noisy_channel", Fixed(name="prior", value="head")),
        ),
    ),
    _idea(
        "consistency-search",
        "internals",
        "A probe that only asks for answers that contradict each other where they should knows of no "
        "supervisor; examples on which the two agree teach most (Burns et al., 2022; the best published "
        "recipe on chat preferences, 2026).",
        labels=(_option("soft"),),
        select=(_option("agreement", _range("epsilon", 0.01, 0.5, log=True)),),
        inputs=(_option("both_orders"),),
        lr=(1, 10),
        student=(_option("lora"),),
        refine=(_option("none"), _option("evolve")),
        members=(_option("single"), _trimmed(8)),
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
            _option("small_loss", _range("share", 0.5, 0.9)),
        ),
    ),
    _idea(
        "neighbours-vote",
        "distillation",
        "Labels averaged over the nearest neighbours in the strong model's features hold fewer mistakes "
        "(Bahri et al., 2020).",
        labels=(_option("soft"),),
        repair=(_option("neighbours", _range("k", 5, 50, log=True), _range("share", 0.3, 1)),),
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
        "em-posterior",
        "self-training",
        "The trained student is a better prior than a probe for telling the supervisor's mistakes, so "
        "channel and labels are made anew from its answers (Dawid & Skene, 1979; Raykar et al., 2010).",
        labels=(_option("median"), _option("soft")),
        repair=(_option("noisy_channel", Fixed(name="prior", value="head")), _option("none")),
        relabel=(
            _option(
                "posterior",
                _range("rounds", 1, 2),
                _choice("folds", 1, 2),
                _choice("stretched", True, False),
            ),
        ),
    ),
    _idea(
        "fine-tuned-labels",
        "self-training",
        "Students that label the half they have not learned keep what the text explains and lose what one "
        "supervisor got wrong (Northcutt et al., 2021; Lee, 2013).",
        labels=(_option("median", _choice("rate", "half", "weak")),),
        relabel=(_option("out_of_fold", _range("rounds", 1, 3), _choice("answer", "hard", "soft")),),
    ),
    _idea(
        "evolved-answers",
        "elicitation",
        "Small steps of a head or of adapters towards sure and balanced answers follow what the student "
        "tells apart, and no label (Salimans et al., 2017; Krause et al., 2010).",
        lr=(1, 30),
        student=(_option("probe"), _option("lora", _range("rank", 4, 32, log=True))),
        refine=(
            _option(
                "evolve",
                _range("steps", 10, 60, log=True),
                _range("pairs", 4, 16, log=True),
                _range("sigma", 0.02, 0.2, log=True),
                _range("lr", 0.3, 2, log=True),
            ),
        ),
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
        members=(_option("ensemble", _range("count", 3, 5), _choice("aggregate", "mean", "median")),),
    ),
    _idea(
        "elicited-labels",
        "elicitation",
        "What the strong model answers unprompted by weak labels does not share the supervisor's mistakes "
        "(Burns et al., 2022).",
        labels=(_option("soft"),),
        repair=(_option("elicited", _range("strength", 0.2, 0.8)),),
    ),
    # By the formulas that are the components' defaults.
    _idea(
        "pooled-opinions",
        "internals",
        "The supervisor and an out-of-fold probe of the strong model err apart, so their pooled log-odds are "
        "more often right, above all where the two agree (Genest & Zidek, 1986).",
        labels=(_option("formula", _range("a", 0.1, 0.9)),),
        select=(_option("all"), _option("formula", _range("a", 0.2, 1))),
    ),
    _idea(
        "smoothed-where-contradicted",
        "regularization",
        "A label that a probe contradicts is likelier to be wrong, and smoothing it alone bounds what it can "
        "cost (Lukasik et al., 2020).",
        labels=(_option("soft"),),
        repair=(_option("formula", _range("a", 0.3, 1)),),
    ),
    _idea(
        "focal-loss",
        "loss",
        "A student that no longer learns from what it has right keeps its capacity for what is undecided "
        "(Lin et al., 2017).",
        loss=(_option("formula", _range("a", 0.1, 0.9)),),
    ),
    _idea(
        "consistent-labels",
        "elicitation",
        "Labels of a probe that was fitted without labels, to answers that contradict each other, do not "
        "share the supervisor's mistakes (Burns et al., 2022).",
        labels=(_option("soft"), _option("median")),
        repair=(_option("consistency", _range("strength", 0.3, 1)),),
    ),
)
