"""The settings of what is trained over several seeds: panels, baselines, replicates, the confirmation."""

from typing import Annotated, Literal

from pydantic import Field

from trainers.component import Frozen


class PanelConfig(Frozen):
    """Several weak models that label together as one weak supervisor."""

    size: Annotated[
        int,
        Field(
            ge=1,
            le=16,
            description="Weak models of a supervisor. Each is trained with a seed of its own, and on rows of "
            "its own where `baselines.own_rows` is given; no model is in two supervisors, so those of the "
            "confirmation share none with those of the search. weak_acc is the accuracy of what they say "
            "together, since that is what teaches.",
        ),
    ] = 1
    pooling: Annotated[
        Literal["mean", "weighted"],
        Field(
            description="What they say together: the mean of their probabilities; or a mean weighted by "
            "log(a / (1 - a)), where a is a model's balanced accuracy as far as agreement on the transfer "
            "inputs shows it (Dawid & Skene 1979), which takes three models."
        ),
    ] = "mean"

    def model_post_init(self, _context: object) -> None:
        """Reject weights that agreement cannot tell."""
        if self.pooling == "weighted" and self.size < 3:
            raise ValueError(
                f"pooling weighted needs a size of at least 3, got {self.size}: agreement between two models "
                "does not tell which is right; raise size, or set pooling to mean"
            )


class BaselineConfig(Frozen):
    """The weak floor and the ceiling, between which PGR is measured."""

    seeds: Annotated[
        int,
        Field(
            ge=2,
            le=64,
            description="How often the weak supervisor and the ceiling are trained, each time with a new "
            "seed. The search and its replicates learn from these supervisors; the confirmation has others "
            "(`confirm.supervisors`).",
        ),
    ] = 5
    allow_unclear_gap: Annotated[
        bool,
        Field(
            description="Search even if the ceiling is not two standard errors above the weak floor on the "
            "search split. PGR then says little; without any gap a run is refused all the same."
        ),
    ] = False
    own_rows: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(
            description="Examples of weak_train that each weak model learns from, no example for two of "
            "them: their mistakes then differ as those of other annotators would. null: each learns from the "
            "whole split, and they differ by seed alone. A supervisor is one model, or the "
            "`weak.panel.size` models of a panel."
        ),
    ] = None


class ReplicationConfig(Frozen):
    """The best methods of the search are trained on further seeds, before the finalists are chosen."""

    methods: Annotated[
        Annotated[int, Field(ge=1, le=1000)] | None,
        Field(
            description="Methods that get a second seed. Half of them get a third, a quarter a fourth, up to "
            "`seeds`. null: as many as `effort` pays for."
        ),
    ] = None
    effort: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="Seconds of training for all further seeds together, as a share of those of the "
            "search: cheap methods get more seeds than dear ones. Never fewer than `confirm.finalists` "
            "methods get each. Without meaning where `methods` is given.",
        ),
    ] = 0.6
    seeds: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Most seeds of a method, the search's own included. 1 replicates nothing. Eight "
            "clean seeds bound the share of seeds on which a method collapses to 31%, four to 53%.",
        ),
    ] = 4


class ConfirmConfig(Frozen):
    """The finalists are trained on fresh seeds and graded on the test split, beside the naive baseline."""

    finalists: Annotated[
        int, Field(ge=1, le=20, description="Methods that are confirmed, the naive one aside.")
    ] = 3
    seeds: Annotated[int, Field(ge=2, le=64, description="Fresh seeds for each finalist and for naive.")] = 5
    supervisors: Annotated[
        Annotated[int, Field(ge=2, le=64)] | None,
        Field(
            description="Weak supervisors kept back for the confirmation: methods were chosen on the labels "
            "of others. At most `seeds`, which take turns. null: one for each seed."
        ),
    ] = None
    predictions: Annotated[
        bool,
        Field(
            description="Whether result.json holds the classes that each confirmed method predicts on the "
            "test split, for each seed."
        ),
    ] = False
    keep_models: Annotated[
        bool,
        Field(
            description="Whether the trained weights of every confirmed method and seed are kept in the "
            "run's folder `models`, where `export` takes them from instead of training again. Workers on "
            "other nodes need a file system that all share."
        ),
    ] = False

    @property
    def fresh_supervisors(self) -> int:
        """How many weak supervisors are kept back for the confirmation."""
        return self.supervisors or self.seeds

    def model_post_init(self, _context: object) -> None:
        """Reject supervisors without a seed."""
        if self.fresh_supervisors > self.seeds:
            raise ValueError(
                f"supervisors must be at most seeds, {self.seeds}, got {self.supervisors}: "
                "each needs a seed; raise seeds, or leave supervisors out"
            )
