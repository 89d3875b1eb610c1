"""The peers of a trial that trains in several processes, inside its own placement group."""

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

PEER_PATIENCE_S = 30.0  # for a peer to say how its part of a trial ended


class _Peer:
    """The process of a gang's other member, an actor in a bundle of the trial's placement group."""

    def __init__(self, work: Work) -> None:
        self._member = Member(work)

    def ready(self) -> None:
        """Answers once the process is up."""

    def follow(self, assignment: Assignment, member: GangMember) -> None:
        """Train along until rank 0 ends it."""
        follow(member, lambda: self._member.train(assignment))


class Gang:
    """The peers of a trial's first process. They are its actors, and die with it.

    parts: references to what each of them returns when the trial has ended.
    """

    def __init__(self, work: Work) -> None:
        self._size = work.config.trial.processes
        self._work = ray.put(work)
        needs = work.config.trial.needs
        self._actor = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus)(_Peer)
        self._peers: dict[int, Any] = {}
        self.parts: list[Any] = []

    def lead(self, assignment: Assignment, train: Train) -> Iterator[Report]:
        """The reports of a trial that all members train together."""
        self._summon()
        meet = meeting_point(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]  # Ray has no types
        members = [GangMember(rank=r, world_size=self._size, init_method=meet) for r in range(self._size)]
        self.parts = [
            peer.follow.remote(assignment, member)
            for peer, member in zip(self._peers.values(), members[1:], strict=True)
        ]
        return lead(members[0], lambda: train(assignment))

    def _summon(self) -> None:
        """See that every peer is up: whoever waited for a dead one to join would wait for long."""
        for bundle in range(1, self._size):
            if bundle not in self._peers:
                self._peers[bundle] = self._peer(bundle)
        for bundle, peer in self._peers.items():
            try:
                ray.get(peer.ready.remote())
            except ray.exceptions.RayActorError:
                self._peers[bundle] = self._peer(bundle)
                ray.get(self._peers[bundle].ready.remote())

    def _peer(self, bundle: int) -> Any:
        group = ray.util.get_current_placement_group()
        assert group is not None, "Tune places every trial in a group"
        place = PlacementGroupSchedulingStrategy(placement_group=group, placement_group_bundle_index=bundle)
        return self._actor.options(scheduling_strategy=place).remote(self._work)

    def failure(self) -> Exception | None:
        """What a peer failed of, if one did.

        Raises ray.exceptions.RayActorError where its process died, TimeoutError where it does not answer.
        """
        done, silent = ray.wait(self.parts, num_returns=len(self.parts), timeout=PEER_PATIENCE_S)
        if silent:
            raise TimeoutError(f"{len(silent)} of {self._size} processes of the trial do not answer")
        for part in done:
            try:
                ray.get(part)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                return cause if isinstance(cause, Exception) else error
        return None

    def end(self) -> None:
        """See that every peer is ready for another trial; they are replaced where one is not."""
        _, busy = ray.wait(self.parts, num_returns=len(self.parts), timeout=PEER_PATIENCE_S)
        self.parts = []
        if busy:
            for peer in self._peers.values():
                ray.kill(peer)
            self._peers = {}


@contextmanager
def watched(parts: Sequence[Any], patience_s: float = PEER_PATIENCE_S) -> Iterator[None]:
    """Do a step that needs these parts to go on: a process that waits in vain for one of them ends itself.

    A peer that dies while a process group is made leaves the others waiting for many minutes, in code that
    nothing interrupts. parts: what the peers' calls return, as Ray's references.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            ended, _ = ray.wait(list(parts), num_returns=1, timeout=1.0)
            if ended and not over.wait(patience_s):
                log.error("a process of the trial has ended, and this one still waits for it: it ends too")
                os._exit(1)

    threading.Thread(target=watch, name="peers", daemon=True).start()
    try:
        yield
    finally:
        over.set()
