"""Who is asked in a lane, one after the other, as long as a model declines to answer.

A classifier of the provider can stop a request with `stop_reason: refusal`; benign machine-learning work
is sometimes among what it stops, and the documented remedy is to ask another model (platform.claude.com,
"Refusals and fallback"). Before that the same model is asked once more, with what the research is for in
front. That text says nothing that the instructions do not say. A conversation starts anew with each
attempt, since thinking is bound to the model and to the conversation that it came from.
"""

from agents.settings import ClaudeConfig
from trainers.component import Frozen

FALLBACK_BETA = "server-side-fallback-2026-07-01"


class Attempt(Frozen):
    """A model to ask, whether its request says first what the research is for, and who stands in for it.

    fallbacks: models that the API asks in the same request where `model` declines it.
    """

    model: str
    framed: bool = False
    fallbacks: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that may bill a request of this attempt."""
        return (self.model, *self.fallbacks)


def attempts(config: ClaudeConfig) -> tuple[Attempt, ...]:
    """All attempts of a lane, in order; each is made only if the one before was declined."""
    other = (Attempt(model=config.other_model, framed=True),) if config.other_model else ()
    again = Attempt(model=config.model, framed=True, fallbacks=config.fallbacks)
    return (Attempt(model=config.model), again, *other)
