"""The offline task: made-up reviews, and whether each argues for a positive verdict."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from trainers.data.examples import SPLITS, Examples, Task
from trainers.data.settings import ToyTask
from trainers.data.toy_text import Review, quarter, reviews

TASK_STREAM = 1


def load_toy(config: ToyTask) -> Task:
    """Draw the four splits from the config's seed: distinct reviews, none of them used in pretraining.

    A text is a review and the question `verdict :`. Labels are 1 for a positive verdict, half of the time.
    """
    rng = np.random.default_rng([TASK_STREAM, config.seed])
    found = reviews(rng, pretraining=False, contrast=config.contrast)
    stream = _distinct(review for review in found if config.part in (None, quarter(review.text, 1)))
    drawn = {split: tuple(islice(stream, getattr(config.splits, split))) for split in SPLITS}
    return Task(
        inputs={split: Examples(texts=tuple(r.prompt for r in rs)) for split, rs in drawn.items()},
        truth={split: np.array([r.label for r in rs], dtype=np.int8) for split, rs in drawn.items()},
    )


def _distinct(stream: Iterator[Review]) -> Iterator[Review]:
    seen: set[str] = set()
    for review in stream:
        if review.text not in seen:
            seen.add(review.text)
            yield review
