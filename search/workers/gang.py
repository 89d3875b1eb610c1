"""A trial that trains in several processes: rank 0 and its peers, in the trial's placement group."""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from search.engine.assignment import Assignment
from search.workers.member import Member, Train, Work
from trainers.gang import GangMember, follow, lead, meeting_point
from trainers.trial.workbench import Report

log = logging.getLogger(__name__)

PEER_TIMEOUT_S = 30.0  # for a peer to return after the trial has ended


class _Peer:
    """A process of rank 1 or above, an actor in a bundle of the trial's placement group."""

    def __init__(self, work: Work) -> None:
        self._member = Member(work)

    def ready(self) -> None:
        """Returns once the process is up."""

    def follow(self, assignment: Assignment, member: GangMember) -> None:
        """Train with rank 0 until it ends the trial."""
        follow(member, lambda: self._member.train(assignment))


class Gang:
    """The peers of a trial's rank 0. They are its actors, and die with it.

    results: Ray references to the return values of the peers, ready once the trial has ended.
    """

    def __init__(self, work: Work) -> None:
        self._size = work.config.trial.processes
        self._work = ray.put(work)
        needs = work.config.trial.needs
        self._actor = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(_Peer)
        self._ready_s = work.config.faults.start_limit_s / 2  # so that it ends before this worker is killed
        self._peers: dict[int, Any] = {}
        self.results: list[Any] = []

    def lead(self, assignment: Assignment, train: Train) -> Iterator[Report]:
        """Train a trial with all members; its reports."""
        self._ensure_peers()
        meet = meeting_point(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]  # Ray has no types
        members = [GangMember(rank=r, world_size=self._size, init_method=meet) for r in range(self._size)]
        self.results = [
            peer.follow.remote(assignment, member)
            for peer, member in zip(self._peers.values(), members[1:], strict=True)
        ]
        return lead(members[0], lambda: train(assignment))

    def _ensure_peers(self) -> None:
        """Start the peers that are missing or dead: a process group waits minutes for a dead member."""
        for bundle in range(1, self._size):
            if bundle not in self._peers:
                self._peers[bundle] = self._peer(bundle)
        for bundle, peer in self._peers.items():
            try:
                self._await_ready(bundle, peer)
            except ray.exceptions.RayActorError:
                self._peers[bundle] = self._peer(bundle)
                self._await_ready(bundle, self._peers[bundle])

    def _await_ready(self, bundle: int, peer: Any) -> None:
        try:
            ray.get(peer.ready.remote(), timeout=self._ready_s)
        except ray.exceptions.GetTimeoutError:
            raise TimeoutError(
                f"process {bundle} of the trial's {self._size} was not ready within half of "
                f"faults.start_limit_s ({self._ready_s:g} s)"
            ) from None

    def _peer(self, bundle: int) -> Any:
        group = ray.util.get_current_placement_group()
        assert group is not None, "Tune places every trial in a group"
        place = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=bundle)
        return self._actor.options(scheduling_strategy=place).remote(self._work)

    def failure(self) -> Exception | None:
        """The exception of a peer that failed, or None.

        Raises ray.exceptions.RayActorError if a peer's process died, TimeoutError if a peer does not return.
        """
        done, silent = ray.wait(self.results, num_returns=len(self.results), timeout=PEER_TIMEOUT_S)
        if silent:
            raise TimeoutError(
                f"{len(silent)} of {self._size} processes of the trial did not return in {PEER_TIMEOUT_S:g} s"
            )
        for result in done:
            try:
                ray.get(result)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                return cause if isinstance(cause, Exception) else error
        return None

    def end(self) -> None:
        """Wait until the peers are ready for another trial. If one is not, all are killed, to be replaced."""
        _, busy = ray.wait(self.results, num_returns=len(self.results), timeout=PEER_TIMEOUT_S)
        self.results = []
        if busy:
            for peer in self._peers.values():
                ray.kill(peer)
            self._peers = {}


@contextmanager
def exit_if_peer_ends(results: Sequence[Any], timeout_s: float = PEER_TIMEOUT_S) -> Iterator[None]:
    """Exit this process if a peer ends while the block runs and the block does not end in time.

    A peer that dies while a process group forms leaves the others waiting for many minutes, in code that
    cannot be interrupted. results: Ray references to the peers' return values.
    """
    block_ended = threading.Event()

    def watch() -> None:
        while not block_ended.is_set():
            ended, _ = ray.wait(list(results), num_returns=1, timeout=1.0)
            if ended and not block_ended.wait(timeout_s):
                log.error("a process of the trial has ended while this process waits for it: exiting")
                os._exit(1)

    threading.Thread(target=watch, name="peers", daemon=True).start()
    try:
        yield
    finally:
        block_ended.set()
