"""The surrogate's beliefs about methods, for an agent that is asked for draws."""

from collections.abc import Container, Sequence

import numpy as np

from agents.advice.beliefs import Belief
from agents.language.proposal import Branch
from search.config.schema import RunConfig
from search.policy.beliefs import Outlook
from search.policy.encoding import encode
from search.scoring.objective import restored
from search.studies.sampler import MethodSampler
from trainers.method import Method

SAMPLED = 48  # methods of a branch


class SearchBeliefs:
    """An agents.advice.beliefs.Beliefs of the search's own surrogate."""

    def __init__(self, config: RunConfig, outlook: Outlook, tried: Container[str], seed: int) -> None:
        """tried: digests of the plainest methods that started."""
        self._config = config
        self._outlook = outlook
        self._tried = tried
        self._seed = seed

    @property
    def scores(self) -> int:
        """How many scores the surrogate has seen."""
        return len(self._outlook.scores)

    def of(self, methods: Sequence[Method]) -> tuple[Belief, ...]:
        """A belief for each method."""
        if not methods:
            return ()
        found = self._outlook.of(np.stack([encode(method) for method in methods]))
        return tuple(
            Belief(
                method=method,
                pgr=self._pgr(found.pgr[i]),
                low=self._pgr(found.low[i]),
                high=self._pgr(found.high[i]),
                stop=self._outlook.rungs[int(found.rung[i])],
            )
            for i, method in enumerate(methods)
        )

    def _pgr(self, value: float) -> float:
        several = len(self._config.searched) > 1
        return round(restored(float(value), self._config.search.objective) if several else float(value), 4)

    def sampled(self, branch: Branch) -> tuple[Belief, ...]:
        """Beliefs of up to 48 random methods of a branch that can run here and were not tried."""
        sampler, methods = MethodSampler(self._seed), dict[str, Method]()
        for _ in range(SAMPLED):
            try:
                method = sampler.draw(branch, self._config.naive, None).method
            except ValueError:  # components that cannot work together
                continue
            name = method.plainest.digest
            if name not in self._tried and method.refused(self._config.abilities) is None:
                methods[name] = method
        return self.of(list(methods.values()))
