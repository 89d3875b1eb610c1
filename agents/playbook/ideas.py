"""Spaces suggested by published work, most promising first, with multiples of the naive optimizer's."""

from agents.language.proposal import Fixed
from agents.playbook.idea import choice, idea, option, ranged, trimmed

# Each a branch, and the multiples of the naive learning rate and epochs that it searches between.
IDEAS = (
    idea(
        "early-stopping",
        "regularization",
        "A student learns the concept before it learns its supervisor's mistakes, so less training on "
        "the weak labels recovers more of the gap (Burns et al., 2023).",
        lr=(1 / 10, 3),
        epochs=(1 / 10, 1),
        optim=(option("adamw", ranged("weight_decay", 0, 0.1)),),
    ),
    idea(
        "confident-only",
        "filtering",
        "The weak labels that the supervisor is sure of are more often right, so training on them alone "
        "passes on fewer mistakes (Guo & Yang, 2024).",
        select=(
            option(
                "confidence",
                ranged("share", 0.25, 0.9),
                choice("balanced", True, False),
                choice("weights", "equal", "graded"),
            ),
        ),
    ),
    idea(
        "label-propagation",
        "internals",
        "Labels split at their median and spread over nearest neighbours in the strong model's features "
        "agree with what it already tells apart (Zhou et al., 2004).",
        labels=(option("median", choice("rate", "half", "weak")),),
        repair=(option("propagate", ranged("k", 8, 30, log=True), ranged("alpha", 0.85, 0.99)),),
    ),
    idea(
        "both-orders",
        "regularization",
        "A student that sees every pair in both orders, and answers by both, cannot lean on a position as "
        "its supervisor does (Wang et al., 2023).",
        inputs=(option("both_orders", choice("answer", "averaged", "as_shown")),),
    ),
    idea(
        "confidence-loss",
        "loss",
        "Adding the student's own hardened predictions to the target lets it disagree with the "
        "supervisor where it is sure (Burns et al., 2023).",
        loss=(
            option(
                "logconf",
                ranged("aux", 0.2, 1),
                ranged("warmup", 0, 0.5),
                choice("threshold", "weak_mean", "half"),
            ),
        ),
    ),
    idea(
        "cross-fitted-labels",
        "internals",
        "Labels that a probe makes anew for examples it has not seen keep what the features explain and lose "
        "the supervisor's mistakes (Northcutt et al., 2021; Marks & Tegmark, 2023).",
        labels=(option("median", choice("rate", "half", "weak")),),
        repair=(option("crossfit", ranged("rounds", 2, 8)), option("mean_difference")),
    ),
    idea(
        "overlap-density",
        "filtering",
        "Examples that hold both what the supervisor knows and what only the student can read teach the "
        "student most (Shin et al., 2024).",
        select=(
            option(
                "overlap_density",
                ranged("share", 0.3, 0.8),
                ranged("k", 5, 30, log=True),
                choice("weights", "equal", "graded"),
            ),
        ),
    ),
    idea(
        "em-labels",
        "internals",
        "A model of how the supervisor errs, fitted along with a probe, tells its mistakes from what it "
        "knows (Dawid & Skene, 1979; Raykar et al., 2010).",
        labels=(option("median"), option("soft")),
        repair=(
            option("em_head", ranged("iterations", 3, 20, log=True)),
            option("noisy_channel", Fixed(name="prior", value="head")),
        ),
    ),
    idea(
        "consistency-search",
        "internals",
        "A probe that only asks for answers that contradict each other where they should knows of no "
        "supervisor; examples on which the two agree teach most (Burns et al., 2022; the best published "
        "recipe on chat preferences, 2026).",
        labels=(option("soft"),),
        select=(option("agreement", ranged("epsilon", 0.01, 0.5, log=True)),),
        inputs=(option("both_orders"),),
        lr=(1, 10),
        student=(option("lora"),),
        refine=(option("none"), option("evolve")),
        members=(option("single"), trimmed(8)),
    ),
    idea(
        "frozen-probe",
        "internals",
        "A linear read-out of the frozen student has too little room to imitate the supervisor's mistakes "
        "and keeps to what pretraining already separates (Burns et al., 2023).",
        lr=(1, 100),
        epochs=(1 / 3, 2),
        student=(option("probe", ranged("layer", 0.4, 1)),),
    ),
    idea(
        "softened-labels",
        "distillation",
        "Probabilities keep the supervisor's doubt, so its unsure mistakes pull less than hard labels do "
        "(Hinton et al., 2015).",
        labels=(option("soft", ranged("temperature", 0.3, 3, log=True)),),
    ),
    idea(
        "robust-losses",
        "loss",
        "A loss that grows slowly on examples the student contradicts is less drawn to wrong labels "
        "(Zhang & Sabuncu, 2018; Wang et al., 2019; Reed et al., 2015).",
        loss=(
            option("gce", ranged("q", 0.2, 0.9)),
            option("sce", ranged("a", 0.05, 1, log=True)),
            option("bootstrap", ranged("beta", 0.5, 0.95)),
        ),
    ),
    idea(
        "confident-then-soft",
        "filtering",
        "Dropping the labels that the supervisor is least sure of and softening the rest guards against "
        "both kinds of mistake (Guo & Yang, 2024; Hinton et al., 2015).",
        select=(option("confidence", ranged("share", 0.4, 0.9)),),
        labels=(option("soft", ranged("temperature", 0.3, 2, log=True)),),
    ),
    idea(
        "confident-probe",
        "internals",
        "A frozen read-out fitted to confident labels only joins the two strongest guards against "
        "imitation (Burns et al., 2023; Guo & Yang, 2024).",
        lr=(1, 100),
        epochs=(1 / 3, 2),
        student=(option("probe", ranged("layer", 0.4, 1)),),
        select=(option("confidence", ranged("share", 0.25, 0.9)),),
    ),
    idea(
        "balanced-labels",
        "weighting",
        "A biased supervisor calls one class too often, so labels moved to an even balance are more often "
        "right (Burns et al., 2023).",
        labels=(option("balanced"),),
    ),
    idea(
        "smoothed-labels",
        "regularization",
        "Labels pulled towards the middle bound what a wrong one can cost (Lukasik et al., 2020).",
        labels=(option("smoothed", ranged("epsilon", 0.05, 0.6)),),
    ),
    idea(
        "adapters",
        "regularization",
        "Low-rank updates move the student less than full fine-tuning, so it imitates less "
        "(Hu et al., 2022; Biderman et al., 2024).",
        lr=(1, 10),
        student=(option("lora", ranged("rank", 2, 32, log=True), choice("target", "all", "attention")),),
    ),
    idea(
        "disagreement-filter",
        "filtering",
        "Where a probe of the strong model contradicts the weak label, the label is likelier to be wrong "
        "(Northcutt et al., 2021).",
        select=(
            option("disagreement", ranged("share", 0.1, 0.5)),
            option("small_loss", ranged("share", 0.5, 0.9)),
        ),
    ),
    idea(
        "neighbours-vote",
        "distillation",
        "Labels averaged over the nearest neighbours in the strong model's features hold fewer mistakes "
        "(Bahri et al., 2020).",
        labels=(option("soft"),),
        repair=(option("neighbours", ranged("k", 5, 50, log=True), ranged("share", 0.3, 1)),),
    ),
    idea(
        "curriculum",
        "curriculum",
        "Confident examples first fix the concept before the doubtful ones arrive (Bengio et al., 2009).",
        labels=(option("soft"), option("hard")),
        select=(option("curriculum", ranged("share", 0.3, 0.8), ranged("switch", 0.3, 0.8)),),
    ),
    idea(
        "self-sharpening-losses",
        "loss",
        "A student that is pushed to be sure of itself settles the examples on which the labels are weak "
        "(Grandvalet & Bengio, 2004; Burns et al., 2023).",
        loss=(
            option("entropy", ranged("aux", 0.2, 0.8)),
            option("window", ranged("radius", 0.05, 0.4)),
        ),
    ),
    idea(
        "divergences",
        "distillation",
        "The reverse divergence, or a product with the student's own answer, follows the supervisor less "
        "where it is unsure (Gu et al., 2024; Burns et al., 2023).",
        labels=(option("soft", ranged("temperature", 0.3, 3, log=True)),),
        loss=(option("reverse_kl"), option("product", ranged("alpha", 0.5, 2, log=True))),
    ),
    idea(
        "em-posterior",
        "self-training",
        "The trained student is a better prior than a probe for telling the supervisor's mistakes, so "
        "channel and labels are made anew from its answers (Dawid & Skene, 1979; Raykar et al., 2010).",
        labels=(option("median"), option("soft")),
        repair=(
            option("noisy_channel", Fixed(name="prior", value="head")),
            option("channel_per_example", Fixed(name="prior", value="head")),
            option("none"),
        ),
        relabel=(
            option(
                "posterior",
                ranged("rounds", 1, 2),
                choice("folds", 1, 2),
                choice("stretched", True, False),
                choice("by", "nothing", "doubt"),
            ),
        ),
    ),
    idea(
        "channel-per-example",
        "internals",
        "A supervisor is wrong more often where it is unsure or where the features say so, and a channel "
        "that knows corrects labels there and leaves the others (Menon et al., 2018; Raykar et al., 2010).",
        labels=(option("soft"), option("median")),
        repair=(
            option(
                "channel_per_example",
                Fixed(name="prior", value="head"),
                choice("by", "doubt", "features"),
                ranged("temper", 0.3, 1),
            ),
        ),
    ),
    idea(
        "fine-tuned-labels",
        "self-training",
        "Students that label the half they have not learned keep what the text explains and lose what one "
        "supervisor got wrong (Northcutt et al., 2021; Lee, 2013).",
        labels=(option("median", choice("rate", "half", "weak")),),
        relabel=(option("out_of_fold", ranged("rounds", 1, 3), choice("answer", "hard", "soft")),),
    ),
    idea(
        "evolved-answers",
        "elicitation",
        "Small steps of a head or of adapters towards sure and balanced answers follow what the student "
        "tells apart, and no label (Salimans et al., 2017; Krause et al., 2010).",
        lr=(1, 30),
        student=(option("probe"), option("lora", ranged("rank", 4, 32, log=True))),
        refine=(
            option(
                "evolve",
                ranged("steps", 10, 60, log=True),
                ranged("pairs", 4, 16, log=True),
                ranged("sigma", 0.02, 0.2, log=True),
                ranged("lr", 0.3, 2, log=True),
            ),
        ),
    ),
    idea(
        "self-training",
        "self-training",
        "A second student taught by the first starts from labels that are better than the supervisor's "
        "(Burns et al., 2023).",
        stages=(
            option("self_train", ranged("rounds", 1, 3), choice("targets", "confident", "soft", "hard")),
        ),
    ),
    idea(
        "averaged-students",
        "ensemble",
        "Students from different seeds make different mistakes, and averaging them removes some "
        "(Lakshminarayanan et al., 2017).",
        members=(option("ensemble", ranged("count", 3, 5), choice("aggregate", "mean", "median")),),
    ),
    idea(
        "elicited-labels",
        "elicitation",
        "What the strong model answers unprompted by weak labels does not share the supervisor's mistakes "
        "(Burns et al., 2022).",
        labels=(option("soft"),),
        repair=(option("elicited", ranged("strength", 0.2, 0.8)),),
    ),
    idea(
        "unanimous-models",
        "ensemble",
        "Where the weak models of a supervisor differ, one of them is wrong, so their mean is surest to be "
        "right where they don't (Seung et al., 1992; Lakshminarayanan et al., 2017).",
        labels=(option("soft"), option("hard")),
        select=(option("spread", ranged("share", 0.3, 0.9), choice("balanced", True, False)),),
    ),
    # By the formulas that are the components' defaults.
    idea(
        "pooled-opinions",
        "internals",
        "The supervisor and an out-of-fold probe of the strong model err apart, so their pooled log-odds are "
        "more often right, above all where the two agree (Genest & Zidek, 1986).",
        labels=(option("formula", ranged("a", 0.1, 0.9)),),
        select=(option("all"), option("formula", ranged("a", 0.2, 1))),
    ),
    idea(
        "smoothed-where-contradicted",
        "regularization",
        "A label that a probe contradicts is likelier to be wrong, and smoothing it alone bounds what it can "
        "cost (Lukasik et al., 2020).",
        labels=(option("soft"),),
        repair=(option("formula", ranged("a", 0.3, 1)),),
    ),
    idea(
        "focal-loss",
        "loss",
        "A student that no longer learns from what it has right keeps its capacity for what is undecided "
        "(Lin et al., 2017).",
        loss=(option("formula", ranged("a", 0.1, 0.9)),),
    ),
    idea(
        "consistent-labels",
        "elicitation",
        "Labels of a probe that was fitted without labels, to answers that contradict each other, do not "
        "share the supervisor's mistakes (Burns et al., 2022).",
        labels=(option("soft"), option("median")),
        repair=(option("consistency", ranged("strength", 0.3, 1)),),
    ),
)
