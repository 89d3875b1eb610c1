"""The settings of the search itself: how much is tried, and by which rules."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from search.policy.allocation import AllocationConfig
from search.policy.promotion import PromotionConfig
from search.policy.pruning import PruningConfig
from search.policy.training_budget import Limits
from search.scoring.objective import DEFAULT, SAYS, Objective
from trainers.component import Frozen

Sampler = Literal["surrogate", "tpe", "gp"]
SAMPLERS: Mapping[Sampler, str] = {
    "surrogate": "many random draws, half of them near the branch's best method, compared by the surrogate",
    "tpe": "Optuna's TPESampler (multivariate, group, constant_liar)",
    "gp": "Optuna's GPSampler: it learns from completed trials alone, and draws at random until a branch has "
    "ten; parameters that only some of them have stay random",
}
SearchSupervisors = Literal["shared", "alternate"]


class SearchConfig(Frozen):
    """How much is searched, and by which rules."""

    trials: Annotated[int, Field(ge=1, le=100_000, description="Methods to try.")]
    round_trials: Annotated[
        int, Field(ge=1, le=100_000, description="Trials of a round, after which the next proposal is due.")
    ]
    coarsen: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Grid, in PGR, to which scores on the search split are rounded before anybody sees "
            "them. 0 does not round.",
        ),
    ] = 0.0
    effort: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Training budget of the search: the share of the seconds that training every trial "
            "to the end would take. Seconds are predicted, and corrected by what trials take.",
        ),
    ] = 0.25
    max_hours: Annotated[
        Annotated[float, Field(gt=0, le=1_000_000)] | None,
        Field(
            description="Training budget of the search in hours of training, summed over its trials; takes "
            "the place of `effort`. With a GPU for each trial these are GPU-hours. null: `effort` decides."
        ),
    ] = None
    sampler: Annotated[
        Sampler,
        Field(
            description="What draws the numbers of a branch's next method. "
            + " ".join(f"{name}: {says}." for name, says in SAMPLERS.items())
            + " Allocation and promotion are the same with all three."
        ),
    ] = "surrogate"
    objective: Annotated[
        Objective,
        Field(
            description="A method's score over several `tasks`. "
            + " ".join(f"{name}: {says}." for name, says in SAYS.items())
            + " On one task all are its PGR."
        ),
    ] = DEFAULT
    supervisors: Annotated[
        SearchSupervisors,
        Field(
            description="The weak supervisors of search trials. shared: all trials learn from the first, so "
            "scores of any two are paired; what suits this supervisor alone is found out on further seeds, "
            "which have other supervisors. alternate: each round of branches takes the next, so that no "
            "supervisor alone decides what is found; trials of a branch stay paired, those of different "
            "rounds also differ by supervisor, which makes their comparison noisier."
        ),
    ] = "shared"
    pruning: Annotated[PruningConfig, Field(description="When a trial is stopped at a rung.")] = (
        PruningConfig()
    )
    promotion: Annotated[PromotionConfig, Field(description="Which trial a free worker trains next.")] = (
        PromotionConfig()
    )
    allocation: Annotated[AllocationConfig, Field(description="Which branches may offer new trials.")] = (
        AllocationConfig()
    )

    @property
    def limits(self) -> Limits:
        """How much it may train."""
        max_s = None if self.max_hours is None else self.max_hours * 3600
        return {"trials": self.trials, "effort": self.effort, "max_s": max_s}
