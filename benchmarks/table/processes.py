"""Work for processes of one thread each."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Ended = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]


@contextmanager
def in_processes(count: int, begin: Callable[..., None], given: tuple[Any, ...]) -> Iterator[Ended]:
    """A function like map, whose results come in as they end. begin: called in each process, with `given`.

    With a count of 1 the work is done in this process.
    """
    if count == 1:
        begin(*given)
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(count, initializer=begin, initargs=given) as pool:
        yield pool.imap_unordered
