"""The refusals of callers who proved nothing, counted in this process and written when their minute is over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from identity.actions.audit import record_refusals
from identity.model.access import Caller, CallerKind
from identity.model.refusal_counts import CountedRefusals, RefusalCounts, RefusalKey
from identity.store.transaction import transaction

Clock = Callable[[], datetime]

log = structlog.get_logger("identity")


@dataclass(frozen=True, slots=True)
class Refusals:
    """The counts, which several threads may change."""

    counts: RefusalCounts = field(default_factory=RefusalCounts)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, key: RefusalKey, now: datetime) -> tuple[bool, tuple[CountedRefusals, ...]]:
        """Count one; return whether it is an event of its own, and what is due of its tenant."""
        with self.lock:
            due = self.counts.take_due(now, key.tenant_id)
            return self.counts.add(key, now), due

    def give_up(self, due: tuple[CountedRefusals, ...], key: RefusalKey | None = None) -> None:
        """Keep what could not be written."""
        with self.lock:
            if key is not None:
                self.counts.forget(key)
            self.counts.put_back(due)

    def take_due(self, now: datetime | None) -> tuple[CountedRefusals, ...]:
        """Return what is due of all tenants; without ``now``, everything."""
        with self.lock:
            return self.counts.take_due(now)


def write_counted_refusals(refusals: Refusals, engine: Any, clock: Clock, *, are_all: bool = False) -> None:
    """Write the counts of minutes that are over, or all. What cannot be written is kept. Raises ``Unavailable``."""
    now = clock()
    due = refusals.take_due(None if are_all else now)
    written = 0
    try:
        for counted in due:
            with transaction(engine, counted.key.tenant_id) as tx:
                caller = Caller(CallerKind.ANONYMOUS, None, str(tx.new_id()))
                record_refusals(tx, [counted], caller=caller, now=now)
            written += 1
    finally:
        refusals.give_up(due[written:])


def keep_writing_refusals(refusals: Refusals, engine: Any, clock: Clock, *, every_s: float) -> None:
    """Write counted refusals in a thread of their own, and what is left when the program ends.

    The program waits for the thread, which waits for the main thread to end: no other hook is called in a process that
    a web server has forked.
    """

    def write_until_the_end() -> None:
        main = threading.main_thread()
        while main.is_alive():
            main.join(every_s)
            with _failure_logged():
                write_counted_refusals(refusals, engine, clock, are_all=not main.is_alive())

    threading.Thread(target=write_until_the_end, name="counted refusals", daemon=False).start()


@contextmanager
def _failure_logged() -> Iterator[None]:
    """Go on after a failure: what was not written is kept, and tried again."""
    try:
        yield
    except Exception:  # a thread that ends here would leave every later count unwritten
        log.warning("refusals_not_written", exc_info=True)
