import numpy as np
import pytest

from benchmarks.gpu.figures import H200
from benchmarks.gpu.passes import planned, shape_of, step_passes
from search.config.load import load_config
from search.config.schema import RunConfig
from tests.small_runs.settings import REPO
from trainers.components.students import BagOfWords
from trainers.models.settings import ToyModel
from trainers.training.memory.prediction import training_room

LONG = np.full(6826, 1024)


def qwen(*more: str) -> RunConfig:
    return load_config(REPO / "configs/qwen.yaml", list(more))


def test_the_passes_of_a_step_by_hand() -> None:
    lengths = np.array([10, 10, 20, 20, 30, 30])
    # Two batches of similar lengths, 10 10 20 20 and 30 30: one piece each, 80 and 60 positions.
    assert step_passes(lengths, 4, 4, compiled=False) == (1.0, 70.0, 2)
    # In pieces of two: 20 + 40, 60.
    assert step_passes(lengths, 4, 2, compiled=False) == (1.5, 60.0, 3)
    # Compiled code pads to 24 and, at most, to the longest of all: 4 x 24 and 2 x 30.
    assert step_passes(lengths, 4, 4, compiled=True) == (1.0, 78.0, 2)


def test_the_published_trial_at_full_length_is_what_the_figures_say() -> None:
    config = qwen()
    found = planned(config.strong, shape_of(config.strong), config.engine, LONG, H200, int(141e9))
    assert (found.micro_batch, found.checkpointing, found.compiled) == (16, False, True)
    # 27,350 tokens/s; the last of 214 batches is of 10 examples.
    assert found.speed.step_s == pytest.approx(6826 * 1024 / 214 / 27_350, rel=0.01)
    assert found.bytes / 1e9 == pytest.approx(76.2 * 1.1 + 1.07, rel=0.05)


def test_a_smaller_card_takes_smaller_pieces_and_longer() -> None:
    config = qwen()
    large, small = (
        planned(config.strong, shape_of(config.strong), config.engine, LONG, H200, int(gb * 1e9))
        for gb in (141, 24)
    )
    assert small.checkpointing
    assert small.bytes <= 24e9 < large.bytes
    assert training_room(int(24e9)) < large.bytes
    assert 1.3 < small.speed.step_s / large.speed.step_s < 1.6


def test_words_that_are_counted_need_no_gpu() -> None:
    config = qwen()
    words = config.weak.model_copy(update={"student": BagOfWords()})
    found = planned(words, shape_of(words), config.engine, LONG, H200, int(141e9))
    assert (found.bytes, found.micro_batch, found.speed.load_s) == (0, None, 0.0)


def test_a_generated_model_is_not_planned() -> None:
    toy = qwen().strong.model_copy(update={"model": ToyModel(size="strong")})
    with pytest.raises(ValueError, match="use `search check`"):
        shape_of(toy)
