"""What methods can count on in a campaign: asked of the strong model's settings and of this machine.

The answer for a model of the hub needs transformers, an answer about memory torch. A config itself needs
neither, so they are loaded at the first question.
"""

from typing import TYPE_CHECKING

from search.config.resources import TrialResources
from trainers.lazy import LazyModule
from trainers.method import Abilities
from trainers.models.settings import HubModel, ToyModel
from trainers.training.settings import EngineConfig

if TYPE_CHECKING:
    from trainers.models import prompts
    from trainers.training.memory import model_size
else:
    prompts = LazyModule("trainers.models.prompts")
    model_size = LazyModule("trainers.training.memory.model_size")


def known_without_a_model(strong: HubModel | ToyModel, trial: TrialResources) -> bool:
    """Whether `abilities_of` needs neither torch nor transformers."""
    return isinstance(strong, ToyModel) and not trial.room_gb


def abilities_of(
    strong: HubModel | ToyModel,
    engine: EngineConfig,
    trial: TrialResources,
    intermediates: int,
    *,
    pairs: bool = False,
    panel: bool = False,
) -> Abilities:
    """What methods can count on. Raises ValueError, one line, where a hub model's settings cannot be read."""
    gb = trial.room_gb
    return Abilities(
        prior=isinstance(strong, ToyModel) or prompts.can_elicit(strong),
        intermediates=intermediates,
        pairs=pairs,
        panel=panel,
        room=model_size.room_for(strong, engine, gb, trial.processes, on_gpu=trial.needs.gpus > 0)
        if gb
        else None,
    )
