"""A trial that trains nothing: predictions whose accuracy rises with the share, as if it had been recorded.

Imports little, so that many such workers fit into a small machine.
"""

import json
import zlib
from typing import Any

import numpy as np
from ray import tune

from search.engine.assignment import Assignment
from search.ledger.events import RungReached

EXAMPLES = 1000
TRUTH = np.arange(EXAMPLES, dtype=np.int8) % 2
WEAK, GAP = 0.6, 0.3  # accuracy of the weak floor; the ceiling's is higher by the gap
SEED_SD = 0.08


def predictions(method: str, seed: int, share: float) -> str:
    """Packed predictions at a share of the training: the method decides most of the PGR, the seed the rest.

    PGR ends normal around 0.3 with a spread of 0.2 between methods, and comes in as 1 - e^(-3 share).
    """
    best = np.random.default_rng(zlib.crc32(method.encode())).normal(0.3, 0.2)
    rng = np.random.default_rng([zlib.crc32(method.encode()), seed, round(share * 1000)])
    pgr = best * (1 - np.exp(-3 * share)) + rng.normal(0, SEED_SD)
    right = rng.random(EXAMPLES) < np.clip(WEAK + GAP * pgr, 0.02, 0.98)
    return np.packbits(np.where(right, TRUTH, 1 - TRUTH).astype(np.bool_)).tobytes().hex()


def rung_of(assignment: Assignment, share: float) -> RungReached:
    """What a worker sends at a rung."""
    method = json.dumps(json.loads(assignment.model_dump_json())["method"])
    return RungReached(
        trial=assignment.trial,
        share=share,
        predictions=predictions(method, assignment.seed, share),
        setup_s=0.01,
        train_s=0.1,
        eval_s=0.01,
    )


class NoTraining(tune.Trainable):
    """Stands in for search.workers.trial_runner.TrialRunner."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial of this worker."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another."""
        self._assignment = Assignment.model_validate_json(new_config["assignment"])
        self._left = list(self._assignment.rungs)
        return True

    def step(self) -> dict[str, Any]:
        """The next rung's predictions."""
        rung = rung_of(self._assignment, self._left.pop(0))
        return {"rung": rung.model_dump_json(), "micro_batches": []}
