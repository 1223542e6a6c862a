"""The refusals of anonymous callers, counted in this process and written when their minute is over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from identity.actions.events import record_refusals
from identity.model.access import Caller, CallerKind
from identity.model.ids import TenantId
from identity.model.refusal_counts import KEYS_MAX, CountedRefusals, RefusalKey
from identity.store import Engine
from identity.store.transaction import transaction

Clock = Callable[[], datetime]

log = structlog.get_logger("identity")


@dataclass(frozen=True, slots=True)
class RefusalCounts:
    """Counts of the present minute, and of earlier ones that are not written yet. Any thread may use them."""

    kept: dict[RefusalKey, CountedRefusals] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, key: RefusalKey, now: datetime) -> tuple[bool, tuple[CountedRefusals, ...]]:
        """Count a refusal; return whether it is an event of its own, and the counts of its tenant that are due."""
        with self._lock:
            due = self._take(now, key.tenant_id)
            found = self.kept.get(key)
            if found is not None:
                self.kept[key] = replace(found, number=found.number + 1)
            elif len(self.kept) < KEYS_MAX:
                self.kept[key] = CountedRefusals(key, 0, now.replace(second=0, microsecond=0))
            return found is None, due

    def take_due(self, now: datetime | None) -> tuple[CountedRefusals, ...]:
        """Remove and return the counts of minutes that are over; without ``now``, of the present one too."""
        with self._lock:
            return self._take(now)

    def put_back(self, due: tuple[CountedRefusals, ...], key: RefusalKey | None = None) -> None:
        """Keep counts that were not written. ``key`` is of an event that was not: the next one is an event again."""
        with self._lock:
            if key is not None:
                self.kept.pop(key, None)
            for counted in due:
                newer = self.kept.get(counted.key)
                number = counted.number + (newer.number + 1 if newer else 0)
                self.kept[counted.key] = replace(counted, number=number)

    def _take(self, now: datetime | None, tenant_id: TenantId | None = None) -> tuple[CountedRefusals, ...]:
        over = [
            counted
            for counted in self.kept.values()
            if tenant_id in (None, counted.key.tenant_id) and (now is None or counted.is_over(now))
        ]
        for counted in over:
            del self.kept[counted.key]
        return tuple(counted for counted in over if counted.number)


def write_counted_refusals(counts: RefusalCounts, engine: Engine, clock: Clock, *, are_all: bool = False) -> None:
    """Write the counts of minutes that are over, or all, each as an event in a transaction of its own.

    A count that cannot be written is kept. Raises ``Unavailable``.
    """
    now = clock()
    due = counts.take_due(None if are_all else now)
    written = 0
    try:
        for counted in due:
            with transaction(engine, counted.key.tenant_id) as tx:
                caller = Caller(CallerKind.ANONYMOUS, None, str(tx.new_id()))
                record_refusals(tx, [counted], caller=caller, now=now)
            written += 1
    finally:
        counts.put_back(due[written:])


def keep_writing_refusals(counts: RefusalCounts, engine: Engine, clock: Clock, *, every_s: float) -> None:
    """Write counted refusals in a thread of their own, and the remaining ones when the program ends.

    The program waits for the thread, which waits for the main thread to end: no other hook is called in a process that
    a web server has forked.
    """

    def write_until_the_end() -> None:
        main = threading.main_thread()
        while main.is_alive():
            main.join(every_s)
            with _failure_logged():
                write_counted_refusals(counts, engine, clock, are_all=not main.is_alive())

    threading.Thread(target=write_until_the_end, name="counted refusals", daemon=False).start()


@contextmanager
def _failure_logged() -> Iterator[None]:
    """Go on after a failure: the counts are kept, and written later."""
    try:
        yield
    except Exception:  # a thread that ends here would leave every later count unwritten
        log.warning("refusals_not_written", exc_info=True)
