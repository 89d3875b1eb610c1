"""Quiet loading from the hub or a disk, with errors on one line."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import transformers
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from safetensors import SafetensorError

LIBRARIES = ("datasets", "huggingface_hub", "transformers")


@contextmanager
def loading(problem: str, remedy: str) -> Iterator[None]:
    """Silence progress bars and logs while loading; a failure becomes ValueError(`problem: reason; remedy`).

    The message is a single line with the library's reason; network and source errors look alike. `datasets`
    is silenced where it has been imported before: workers do without it.
    """
    try:
        with quiet():
            yield
    except _failures() as error:
        # For an empty JSON file the reader of `datasets` raises StopIteration without a message.
        reason = " ".join(str(error.__cause__ or error).split()) or "there is nothing in it"
        raise ValueError(f"{problem}: {reason[:240]}; {remedy}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars and logs of the libraries that load from the hub."""
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    models = transformers.utils.logging
    bars: list[tuple[bool, Callable[[], None]]] = [
        (models.is_progress_bar_enabled(), models.enable_progress_bar),
        (not are_progress_bars_disabled(), enable_progress_bars),
    ]
    models.disable_progress_bar()
    disable_progress_bars()
    datasets: Any = sys.modules.get("datasets")
    if datasets is not None:
        bars.append((not datasets.are_progress_bars_disabled(), datasets.enable_progress_bars))
        datasets.disable_progress_bars()
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        for were_on, turn_on in bars:
            if were_on:
                turn_on()


def _failures() -> tuple[type[Exception], ...]:
    """What loading raises, `datasets` included where it has been imported."""
    datasets = sys.modules.get("datasets")
    of_datasets = (datasets.exceptions.DatasetsError,) if datasets else ()
    return (OSError, ValueError, ImportError, SafetensorError, StopIteration, *of_datasets)
