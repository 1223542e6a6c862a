"""How many requests of each tenant run at a time in this process, and how many wait."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from identity.model.errors import RateLimited
from identity.model.turns import has_room, next_of

PLACES = 8
"""Requests that are worked on at a time. No more than the pool has connections; and few, because every thread that
works makes all others wait for the interpreter."""


MAX_QUEUED = 120  # requests that wait for a place: a thread and a body each, which cost memory and no time


QUEUE_TIMEOUT_S = 2.0  # of a request that waits for a place


AT_ONCE_WAIT_S = 5.0  # what who finds too much at once is told to wait


@dataclass(slots=True)
class ConcurrencyQuota:
    """How many long things of each holder go on at once."""

    _held: dict[Hashable, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def slot(self, holder: Hashable, *, most: int) -> Iterator[None]:
        """Hold one until the block ends. Raises ``RateLimited`` when ``most`` are held already."""
        with self._lock:
            if self._held.get(holder, 0) >= most:
                raise RateLimited(f"{most} of these go on already; wait for one to end", wait_s=AT_ONCE_WAIT_S)
            self._held[holder] = self._held.get(holder, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                _give_back(self._held, holder)


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """Somebody in the queue; ``called`` when it is its turn."""

    party: Hashable
    called: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class ConcurrencyLimiter:
    """Whose requests are worked on now, and whose wait. Places and seats are shared out by ``model.turns``."""

    places: int = PLACES
    seats: int = MAX_QUEUED
    patience_s: float = QUEUE_TIMEOUT_S
    _running: dict[Hashable, int] = field(default_factory=dict)
    _waiting: list[QueuedRequest] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def slot(self, party: Hashable) -> Iterator[None]:
        """Wait for a turn of ``party``, and hold it until the block ends. Raises ``RateLimited``."""
        waiter = self._arrive(party)
        if waiter is not None and not waiter.called.wait(self.patience_s):
            self._leave(waiter)
        try:
            yield
        finally:
            with self._lock:
                _give_back(self._running, party)
                self._call_next()

    def _arrive(self, party: Hashable) -> QueuedRequest | None:
        """Begin at once, or queue. Who could begin is never left in the queue, so nobody is overtaken here."""
        with self._lock:
            if has_room(self._running.get(party, 0), sum(self._running.values()), self.places):
                self._running[party] = self._running.get(party, 0) + 1
                return None
            mine = sum(waiter.party == party for waiter in self._waiting)
            if not has_room(mine, len(self._waiting), self.seats):
                raise RateLimited("too much of this is going on; ask again", wait_s=1.0)
            waiter = QueuedRequest(party)
            self._waiting.append(waiter)
            return waiter

    def _leave(self, waiter: QueuedRequest) -> None:
        """Give up, unless it was called in this very moment. Raises ``RateLimited``."""
        with self._lock:
            if not waiter.called.is_set():
                self._waiting.remove(waiter)
                raise RateLimited("too much of this is going on; ask again", wait_s=1.0)

    def _call_next(self) -> None:
        while (index := next_of([waiter.party for waiter in self._waiting], self._running, self.places)) is not None:
            waiter = self._waiting.pop(index)
            self._running[waiter.party] = self._running.get(waiter.party, 0) + 1
            waiter.called.set()


def _give_back(held: dict[Hashable, int], holder: Hashable) -> None:
    held[holder] -= 1
    if not held[holder]:
        del held[holder]
