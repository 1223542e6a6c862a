"""How many requests of each tenant run at a time in this process, and how many wait."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from identity.model.errors import RateLimited
from identity.model.fair_share import has_room, next_of

MAX_RUNNING = 8
"""Requests that run at a time. No more than the pool has connections; and few, because every thread that runs makes all
others wait for the interpreter."""

MAX_QUEUED = 120  # requests that wait for a slot: a thread and a body each, which cost memory and no time
QUEUE_TIMEOUT_S = 2.0  # of a request that waits for a slot
QUOTA_RETRY_S = 5.0  # after which a caller whose quota is used up may try again


@dataclass(slots=True)
class ConcurrencyQuota:
    """How many long requests of each holder run at once."""

    _held: dict[Hashable, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def slot(self, holder: Hashable, *, most: int) -> Iterator[None]:
        """Hold a slot until the block ends. Raises ``RateLimited`` when the holder has ``most`` already."""
        with self._lock:
            if self._held.get(holder, 0) >= most:
                raise RateLimited(f"{most} of these go on already; wait for one to end", wait_s=QUOTA_RETRY_S)
            self._held[holder] = self._held.get(holder, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                _give_back(self._held, holder)


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """A request in the queue. ``called`` is set when its slot is free."""

    tenant_key: Hashable
    called: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class ConcurrencyLimiter:
    """The requests that run now, and those that wait. ``model.fair_share`` shares out both among tenants."""

    max_running: int = MAX_RUNNING
    max_queued: int = MAX_QUEUED
    queue_timeout_s: float = QUEUE_TIMEOUT_S
    _running: dict[Hashable, int] = field(default_factory=dict)
    _queue: list[QueuedRequest] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def slot(self, tenant_key: Hashable) -> Iterator[None]:
        """Wait for a slot, and hold it until the block ends. Raises ``RateLimited``."""
        queued = self._run_or_queue(tenant_key)
        if queued is not None and not queued.called.wait(self.queue_timeout_s):
            self._leave_queue(queued)
        try:
            yield
        finally:
            with self._lock:
                _give_back(self._running, tenant_key)
                self._call_next()

    def _run_or_queue(self, tenant_key: Hashable) -> QueuedRequest | None:
        """Take a slot at once, or queue. A request that may run never stays in the queue, so none is overtaken here."""
        with self._lock:
            if has_room(self._running.get(tenant_key, 0), sum(self._running.values()), self.max_running):
                self._running[tenant_key] = self._running.get(tenant_key, 0) + 1
                return None
            of_tenant = sum(queued.tenant_key == tenant_key for queued in self._queue)
            if not has_room(of_tenant, len(self._queue), self.max_queued):
                raise _too_many()
            queued = QueuedRequest(tenant_key)
            self._queue.append(queued)
            return queued

    def _leave_queue(self, queued: QueuedRequest) -> None:
        """Give up, unless the request was called in this very moment. Raises ``RateLimited``."""
        with self._lock:
            if not queued.called.is_set():
                self._queue.remove(queued)
                raise _too_many()

    def _call_next(self) -> None:
        keys = [queued.tenant_key for queued in self._queue]
        while (index := next_of(keys, self._running, self.max_running)) is not None:
            tenant_key = keys.pop(index)
            self._running[tenant_key] = self._running.get(tenant_key, 0) + 1
            self._queue.pop(index).called.set()


def _too_many() -> RateLimited:
    return RateLimited("too much of this is going on; ask again", wait_s=1.0)


def _give_back(held: dict[Hashable, int], holder: Hashable) -> None:
    held[holder] -= 1
    if not held[holder]:
        del held[holder]
