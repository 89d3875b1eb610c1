import logging
from typing import Any

import pytest
import torch
from torch import nn

from trainers.training.packed.graphs import SEEN, Graphs


class Doubles(nn.Module):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers * 2


class Captures:
    """Stands in for a GPU's capture: the module runs as before, and it is noted what was captured."""

    def __init__(self, fails: bool = False) -> None:
        self.sizes: list[int] = []
        self._fails = fails

    def __call__(self, module: nn.Module, arguments: tuple[torch.Tensor], **_: Any) -> nn.Module:
        if self._fails:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(arguments[0]))
        return module


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: None)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: None)


@pytest.mark.usefixtures("without_gpu")
def test_a_shape_is_captured_once_it_has_been_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = Captures()
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", captures)
    passes = Graphs(Doubles)
    for size in [3] * (SEEN + 3) + [5] * SEEN:
        assert passes(torch.ones(size)).tolist() == [2.0] * size
    assert captures.sizes == [3]
    assert len(captures.sizes) == 1
    passes(torch.ones(5))
    assert captures.sizes == [3, 5]


@pytest.mark.usefixtures("without_gpu")
def test_passes_without_gradients_are_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = Captures()
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", captures)
    passes = Graphs(Doubles)
    with torch.no_grad():
        for _ in range(SEEN + 2):
            passes(torch.ones(3))
    assert captures.sizes == []


@pytest.mark.usefixtures("without_gpu")
def test_a_capture_that_fails_is_said_once_and_the_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", Captures(fails=True))
    passes = Graphs(Doubles)
    with caplog.at_level(logging.WARNING):
        for _ in range(SEEN + 3):
            assert passes(torch.ones(3)).tolist() == [2.0] * 3
    assert caplog.messages == ["passes run uncaptured: CUDA out of memory"]
