"""Searches a trial's own process for ground truth, of which it is told nothing but checksums.

`SearchedRunner` stands in for search.workers.trial_runner.TrialRunner: it trains as that does and, at its
first step, looks through everything the process can reach: all objects, the frames of all threads, what it
holds in Ray's object store, its environment and its arguments; an audit hook notes the files that it opens.
Then it plants decoys, one in each kind of hiding place, and looks again: a search that misses those proves
nothing.

LEAK_CHECKSUMS names a JSON file, {"sizes": [...], "truth": {checksum: name}}; the findings are written next
to it, one file a process.
"""

import functools
import gc
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray

from search.workers.member import Work
from search.workers.trial_runner import TrialRunner

OPENED: set[str] = set()
PLACES = ("closure", "object", "thread", "store", "environment", "packed")
ROWS = 64  # of a matrix, at most, are looked at one by one


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str):
        OPENED.add(os.path.abspath(arguments[0]))


sys.addaudithook(_note)


def checksum(labels: NDArray[Any]) -> str:
    """Of classes 0 and 1, [n]."""
    return hashlib.sha256(labels.astype(np.int8).tobytes()).hexdigest()


def decoy(place: str, size: int) -> NDArray[np.int8]:
    """Labels that are nobody's, the same for the same place."""
    return np.random.default_rng(sum(map(ord, place))).integers(0, 2, size).astype(np.int8)


class Search:
    """Looks for arrays, tensors, lists, bytes and texts that spell labels with one of these checksums."""

    def __init__(self, sizes: list[int], truth: dict[str, str]) -> None:
        self._sizes = set(sizes)
        self._packed = {-(-size // 8): size for size in sizes}
        self._truth = truth
        self.found: set[str] = set()

    def everywhere(self) -> set[str]:
        """Names of what was found in this process."""
        for thing in gc.get_objects():
            self.look(thing)
            for inner in gc.get_referents(thing):
                self._untracked(inner)
        for frame in sys._current_frames().values():
            here = frame
            while here is not None:
                for value in here.f_locals.values():
                    self.look(value)
                here = here.f_back  # type: ignore[assignment]  # None ends it
        for value in _held_in_store():
            self._deep(value, depth=4)
        for text in [*os.environ.values(), *sys.argv]:
            self.look(text)
        return self.found

    def _untracked(self, thing: Any) -> None:
        """Containers of plain values alone are no garbage collector's business, and not among its objects."""
        self.look(thing)
        if type(thing) in (dict, tuple) and not gc.is_tracked(thing):
            for inner in gc.get_referents(thing):
                self._untracked(inner)

    def _deep(self, value: Any, depth: int) -> None:
        self.look(value)
        if depth:
            for inner in gc.get_referents(value):
                self._deep(inner, depth - 1)

    def look(self, thing: Any) -> None:
        """At one object, not at what it refers to."""
        for labels in self._spelt(thing):
            for one in (labels, 1 - labels):
                if name := self._truth.get(checksum(one)):
                    self.found.add(name)

    def _spelt(self, thing: Any) -> Iterator[NDArray[np.int8]]:
        kind = type(thing)
        if kind is bytes and len(thing) in self._packed:
            yield _unpacked(thing, self._packed[len(thing)])
        elif kind is str and len(thing) in self._sizes and set(thing) <= {"0", "1"}:
            yield np.array(list(thing), dtype=np.int8)
        elif kind is str and len(thing) % 2 == 0 and len(thing) // 2 in self._packed:
            try:
                yield _unpacked(bytes.fromhex(thing), self._packed[len(thing) // 2])
            except ValueError:
                return
        elif kind in (list, tuple) and len(thing) in self._sizes:
            if all(type(value) in (int, bool, float) for value in thing):
                yield from self._rows(np.array(thing))
        elif kind is np.ndarray:
            yield from self._rows(thing)
        elif kind is torch.Tensor and thing.layout == torch.strided and thing.dtype != torch.bfloat16:
            yield from self._rows(thing.detach().cpu().numpy())

    def _rows(self, array: NDArray[Any]) -> Iterator[NDArray[np.int8]]:
        if array.ndim and array.shape[-1] in self._sizes and array.dtype.kind in "biuf":
            for row in array.reshape(-1, array.shape[-1])[:ROWS]:
                if np.isin(row, (0, 1)).all():
                    yield row.astype(np.int8)


def _unpacked(data: bytes, size: int) -> NDArray[np.int8]:
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=size).astype(np.int8)


def _held_in_store() -> Iterator[Any]:
    """What this process has references to in Ray's object store, as far as it is there by now."""
    for name in ray._private.worker.global_worker.core_worker.get_all_reference_counts():
        reference = ray.ObjectRef(bytes.fromhex(name.decode()))
        try:
            yield ray.get(reference, timeout=0.5)
        except Exception:  # still being computed, or an actor's handle and no value
            continue


def _planted(size: int) -> list[Any]:
    """A decoy in every place; what has to be kept alive."""
    labels = {place: decoy(place, size) for place in PLACES}
    started, stop = threading.Event(), threading.Event()

    def hold(hidden: NDArray[np.int8]) -> Callable[[], int]:
        return lambda: int(hidden.sum())

    def wait(hidden: NDArray[np.int8]) -> None:
        started.set()
        stop.wait()

    thread = threading.Thread(target=functools.partial(wait, labels.pop("thread")), daemon=True)
    thread.start()
    started.wait()
    holder = type("Holder", (), {})()
    holder.labels = labels["object"].astype(np.float32)
    os.environ["LEAK_DECOY"] = "".join(map(str, labels["environment"]))
    packed = {"labels": np.packbits(labels["packed"]).tobytes().hex()}
    kept = [hold(labels["closure"].astype(np.int64)), holder, packed, ray.put([labels["store"]]), stop]
    labels.clear()
    return kept


class SearchedRunner(TrialRunner):
    """A trial that looks around in its own process."""

    def setup(self, config: dict[str, Any], work: Work) -> None:  # type: ignore[override]  # Ray passes more
        """As a trial's."""
        super().setup(config, work)
        self._looked = False

    def step(self) -> dict[str, Any]:
        """As a trial's; the first one looks around once it has trained."""
        answer = super().step()
        if not self._looked:
            self._looked = True
            self._look_around()
        return answer

    def _look_around(self) -> None:
        place = Path(os.environ["LEAK_CHECKSUMS"])
        told = json.loads(place.read_text())
        size = told["sizes"][-1]
        decoys = {checksum(decoy(place, size)): place for place in PLACES}
        opened = sorted(OPENED)
        honest = Search(told["sizes"], told["truth"] | decoys).everywhere()
        kept = _planted(size)
        control = Search(told["sizes"], decoys).everywhere()
        kept[-1].set()
        del os.environ["LEAK_DECOY"]
        findings = {"found": sorted(honest), "control": sorted(control), "opened": opened}
        (place.parent / f"found-{os.getpid()}.json").write_text(json.dumps(findings))
