"""What a run shows and to whom: Weights & Biases, a database for Optuna, and report.html."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from search.config.database import checked
from trainers.component import Frozen


class TrackingConfig(Frozen):
    """What goes to Weights & Biases."""

    kind: Annotated[
        Literal["off", "offline", "online"],
        BeforeValidator(lambda given: "off" if given is False else given),  # as YAML reads a plain off
        Field(
            description="What W&B receives: nothing (`off`), files in the run directory to send later "
            "(`offline`; needs neither key nor network), or everything at once (`online`)."
        ),
    ] = "offline"
    project: Annotated[
        str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$", description="W&B project of the run.")
    ] = "weak-to-strong-search"
    entity: Annotated[
        Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$")] | None,
        Field(description="W&B user or team that owns the project. null: the default one of the key."),
    ] = None
    sweep: Annotated[
        Annotated[str, Field(pattern=r"^[a-z0-9]{1,64}$")] | None,
        Field(
            description="Id of an existing W&B sweep that the trials join. null: a new sweep when online, "
            "none when offline."
        ),
    ] = None
    patience_s: Annotated[
        float,
        Field(
            ge=0,
            le=86_400,
            description="Seconds that the end of a run waits, at most, for what W&B has not received.",
        ),
    ] = 15.0


class ReportConfig(Frozen):
    """What report.html may show."""

    show_text: Annotated[
        bool,
        Field(
            description="Whether report.html shows the texts of test examples on which the best method and "
            "naive differ; never their labels."
        ),
    ] = False


class OptunaConfig(Frozen):
    """Where Optuna keeps its studies. A run stays with the storage that it began with."""

    storage: Annotated[
        str | None,
        Field(
            description="URL of a database, such as postgresql://me:${OPTUNA_PASSWORD}@host/db. A password "
            "comes from the environment: ${NAME} stands for a variable whose name begins with OPTUNA_, no "
            "other is filled in, and config.yaml keeps this text as it is. null: a file in the run directory."
        ),
    ] = None

    def model_post_init(self, _context: object) -> None:
        """Refuse what is no URL, and a password in it; neither is repeated in the message."""
        if self.storage is not None:
            checked(self.storage)
