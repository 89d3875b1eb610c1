import datasets
import pytest
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from transformers.utils import logging as transformers_logging

from trainers.data.loading import loading


def fail() -> None:
    with loading("the thing is gone", "look again"):
        assert datasets.are_progress_bars_disabled()
        raise OSError("first line\nsecond line")


def test_loading_turns_the_libraries_up_again() -> None:
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    with pytest.raises(ValueError, match=r"^the thing is gone: first line second line; look again$"):
        fail()
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before
    assert not datasets.are_progress_bars_disabled()
    assert not are_progress_bars_disabled()


def test_loading_lets_our_own_mistakes_through() -> None:
    with pytest.raises(AssertionError), loading("the thing is gone", "look again"):
        raise AssertionError
