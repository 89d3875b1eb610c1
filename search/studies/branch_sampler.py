"""What a branch has to offer, and how the draw that is chosen becomes a trial of its study."""

from collections.abc import Container, Iterator, Sequence

from agents.language.proposal import Branch, branch_contains
from search.config.search import Sampler
from search.studies.mirror import StudyMirror
from search.studies.optuna_samplers import OPTUNA_SAMPLERS, OptunaSampler
from search.studies.sampler import Draw, MethodSampler, new_draw
from search.studies.space import recalled, suggest
from trainers.method import Abilities, Method

ATTEMPTS = 20  # draws before a branch counts as used up
RENEWED = 8  # draws each time that a branch is asked; those from before are kept


class BranchSampler:
    """Draws a branch's methods over its conditional space, and opens the trial of the draw that is chosen.

    sampler "surrogate": many candidates, half at random and half near a good method; which of them is worth
    a trial is for the surrogate to say. "tpe" and "gp": a single candidate, by Optuna's sampler.
    """

    def __init__(
        self,
        branch: Branch,
        naive: Method,
        abilities: Abilities,
        mirror: StudyMirror,
        *,
        seed: int,
        sampler: Sampler = "surrogate",
    ) -> None:
        self._branch = branch
        self._naive = naive
        self._abilities = abilities
        self._mirror = mirror
        self._methods = mirror.study.sampler = MethodSampler(seed)
        self._optuna = OPTUNA_SAMPLERS[sampler](seed) if sampler != "surrogate" else None
        self._offered: dict[str, Draw] = {}
        self._asked_at = -1  # the version of the study that the candidate of Optuna's sampler is of

    def offer(self, count: int, known: Container[str], near: Method | None) -> Sequence[Draw]:
        """At most so many draws; the digests of their plainest methods are not in `known`.

        near: a method to draw near to, of this branch or not; Optuna's samplers have no use for it. None are
        left when the branch has shown no new method in 20 draws. A combination that cannot work together, or
        not here, is left out.
        """
        self._offered = {name: draw for name, draw in self._offered.items() if name not in known}
        if self._optuna is None:
            self._renew(known, near)
            self._offered = dict(list(self._offered.items())[-count:])
        elif not self._offered or self._asked_at != self._mirror.version:
            self._offered = self._suggested(self._optuna, known)
            self._asked_at = self._mirror.version
        return list(self._offered.values())

    def _renew(self, known: Container[str], near: Method | None) -> None:
        """Add new draws to those from before; draws of the same method are kept once, as the newest."""
        for attempt in range(ATTEMPTS):
            if attempt >= RENEWED and self._offered:
                break
            draw = self._drawn(near if attempt % 2 else None)
            if draw is not None and self._is_new(draw, known):
                self._offered.pop(draw.method.plainest.digest, None)
                self._offered[draw.method.plainest.digest] = draw

    def _suggested(self, optuna_sampler: OptunaSampler, known: Container[str]) -> dict[str, Draw]:
        """The first new method that Optuna's sampler suggests, else the first among random draws."""

        def draws() -> Iterator[Draw | None]:
            yield from optuna_sampler.draws(self._mirror.study, self._branch, self._naive, RENEWED)
            yield from (self._drawn(None) for _ in range(ATTEMPTS))

        for draw in draws():
            if draw is not None and self._is_new(draw, known):
                return {draw.method.plainest.digest: draw}
        return {}

    def _drawn(self, near: Method | None) -> Draw | None:
        try:
            return self._methods.draw(self._branch, self._naive, near)
        except ValueError:  # a combination that cannot work
            return None

    def _is_new(self, draw: Draw, known: Container[str]) -> bool:
        return draw.method.plainest.digest not in known and draw.method.refused(self._abilities) is None

    def named(self, method: Method) -> Draw | None:
        """The draw of a method that the agent named; None if the branch does not hold it."""
        if not branch_contains(self._branch, method, self._naive):
            return None
        values = recalled(self._branch, self._naive, method)
        return new_draw(self._branch.name, method, values.params, values.distributions, by="agent")

    def start(self, draw: Draw) -> int:
        """Ask the study for a trial, which takes the draw's values; returns its number there."""
        self._methods.choose(draw)
        trial = self._mirror.ask()
        suggest(trial, self._branch, self._naive)
        self._methods.choose(None)
        assert trial.params == draw.params, (trial.params, draw.params)
        return trial.number
