"""What every caller has left of this process: how often it may ask, and when it is its turn.

Both are counted in the process alone, before anything is asked of the database.
"""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from identity.model.errors import TooOften
from identity.model.rate import Bucket, Rate, take
from identity.model.turns import has_room, next_of

KEPT_MAX = 10_000
PLACES = 8
"""Requests that are worked on at a time. No more than the pool has connections; and few, because every thread that
works makes all others wait for the interpreter."""

SEATS = 120  # requests that wait for a place: a thread and a body each, which cost memory and no time
PATIENCE_S = 2.0  # of a request that waits for a place
AT_ONCE_WAIT_S = 5.0  # what who finds too much at once is told to wait


@dataclass(slots=True)
class Buckets:
    """What every caller has left, in this process. A caller that was forgotten begins with a full bucket."""

    _kept: dict[Hashable, Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, caller: Hashable, rate: Rate, now_s: float) -> float:
        """Take one request; return how many seconds to wait, zero when there is no need."""
        with self._lock:
            taken = take(self._kept.get(caller), rate, now_s)
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[caller] = taken.bucket
        return taken.wait_s


@dataclass(slots=True)
class AtOnce:
    """How many long things of each holder go on at once."""

    _held: dict[Hashable, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def taken(self, holder: Hashable, *, most: int) -> Iterator[None]:
        """Hold one until the block ends. Raises ``TooOften`` when ``most`` are held already."""
        with self._lock:
            if self._held.get(holder, 0) >= most:
                raise TooOften(f"{most} of these go on already; wait for one to end", wait_s=AT_ONCE_WAIT_S)
            self._held[holder] = self._held.get(holder, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                _give_back(self._held, holder)


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody in the queue; ``called`` when it is its turn."""

    party: Hashable
    called: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Turns:
    """Whose requests are worked on now, and whose wait. Places and seats are shared out by ``model.turns``."""

    places: int = PLACES
    seats: int = SEATS
    patience_s: float = PATIENCE_S
    _running: dict[Hashable, int] = field(default_factory=dict)
    _waiting: list[Waiter] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def taken(self, party: Hashable) -> Iterator[None]:
        """Wait for a turn of ``party``, and hold it until the block ends. Raises ``TooOften``."""
        waiter = self._arrive(party)
        if waiter is not None and not waiter.called.wait(self.patience_s):
            self._leave(waiter)
        try:
            yield
        finally:
            with self._lock:
                _give_back(self._running, party)
                self._call_next()

    def _arrive(self, party: Hashable) -> Waiter | None:
        """Begin at once, or queue. Who could begin is never left in the queue, so nobody is overtaken here."""
        with self._lock:
            if has_room(self._running.get(party, 0), sum(self._running.values()), self.places):
                self._running[party] = self._running.get(party, 0) + 1
                return None
            mine = sum(waiter.party == party for waiter in self._waiting)
            if not has_room(mine, len(self._waiting), self.seats):
                raise TooOften("too much of this is going on; ask again", wait_s=1.0)
            waiter = Waiter(party)
            self._waiting.append(waiter)
            return waiter

    def _leave(self, waiter: Waiter) -> None:
        """Give up, unless it was called in this very moment. Raises ``TooOften``."""
        with self._lock:
            if not waiter.called.is_set():
                self._waiting.remove(waiter)
                raise TooOften("too much of this is going on; ask again", wait_s=1.0)

    def _call_next(self) -> None:
        while (index := next_of([waiter.party for waiter in self._waiting], self._running, self.places)) is not None:
            waiter = self._waiting.pop(index)
            self._running[waiter.party] = self._running.get(waiter.party, 0) + 1
            waiter.called.set()


def _give_back(held: dict[Hashable, int], holder: Hashable) -> None:
    held[holder] -= 1
    if not held[holder]:
        del held[holder]
