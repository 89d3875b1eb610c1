"""A trial that trains nothing: predictions whose accuracy rises with the share, as if it had been recorded.

Imports little, so that many such workers fit into a small machine.
"""

import json
import zlib
from typing import Any

import numpy as np
from ray import tune

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


def answer(method: str, seed: int, share: float) -> dict[str, Any]:
    """What a worker sends at a rung."""
    times = {"setup_s": 0.01, "train_s": 0.1, "eval_s": 0.01}
    return {"share": share, "predictions": predictions(method, seed, share), "micro_batches": (), **times}


class NoTraining(tune.Trainable):
    """Stands in for search.workers.trial_runner.TrialRunner."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial of this worker."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another."""
        assignment = json.loads(new_config["assignment"])
        self._method, self._seed = json.dumps(assignment["method"]), assignment["seed"]
        self._left = list(assignment["rungs"])
        return True

    def step(self) -> dict[str, Any]:
        """The next rung's predictions."""
        return answer(self._method, self._seed, self._left.pop(0))
