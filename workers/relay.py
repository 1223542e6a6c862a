"""Outbox to broker: whatever is due is sent until a worker has marked it done. Any number may run.

The broker is given little at a time, so that what follows from an end never waits behind a backlog: the relay keeps
``ROOM`` messages waiting there, and takes the next ones in the order of their priority, from each tenant in turn. So
messages that nobody takes do not pile up either.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Protocol
from uuid import UUID

import structlog

from identity.model.errors import first_line
from identity.model.ids import PLATFORM, TenantId
from identity.model.outbox import LONG, ORDINARY, URGENT
from identity.store import Tx
from identity.store.notices import Notices
from identity.store.outbox import Batch, outbox_claim, outbox_release, outbox_tenants_due
from workers.messages import ROWS_MAX
from workers.turns import ConcurrencyLimiter

CHANNEL = "outbox"
ROOM = 4
"""Messages that wait in the broker for a worker; more are sent when workers have taken some."""

BATCH = {URGENT: 20, ORDINARY: ROWS_MAX, LONG: 1}
"""Rows in one message, by priority: so that a message is a tenth of a second's work."""

LOOK_S = 2.0  # how late a row is found that was not announced, or is due again
NO_ROOM_S = 0.02  # how late it is seen that a worker has taken a message
WAIT_SLICE_S = 0.25  # how late a signal to stop is seen
PAUSE_MAX_S = 2.0  # how late it is seen that the broker or the database is back
SWEEP_EVERY_S = 600.0

Begin = Callable[[TenantId], AbstractContextManager[Tx]]

log = structlog.get_logger(__name__)


class Broker(Protocol):
    """Where messages go. Each method raises when the broker is away."""

    def waiting(self) -> int:
        """Return how many messages wait for a worker."""
        ...

    def send(self, batch: Batch) -> None:
        """Ask for rows of the outbox to be worked on."""
        ...

    def send_sweep(self) -> None:
        """Ask for a sweep."""
        ...

    def reset(self) -> None:
        """Forget connections, which may be broken."""
        ...


@dataclass
class Relay:
    """One relay; ``turns`` is whose rows are taken next."""

    begin: Begin
    broker: Broker
    notices: Notices
    turns: ConcurrencyLimiter[TenantId] = field(default_factory=ConcurrencyLimiter)
    look_at: float = 0.0
    sweep_at: float = 0.0

    def send_due(self) -> bool:
        """Send what is due while the broker has room; return whether more may be due than it had room for.

        Nothing is sent while the claim is uncommitted: a worker would be quicker, find the rows locked, and leave them
        alone. What could not be sent is due again at once.
        """
        if not self.turns:
            return False
        room = ROOM - self.broker.waiting()
        if room <= 0:
            return bool(self.turns)
        with self.begin(PLATFORM) as tx:  # the relay's role sees ids of every tenant's rows and nothing else
            batches = self._claim(tx, room)
        for position, batch in enumerate(batches):
            try:
                self.broker.send(batch)
            except Exception:
                self._release(batches[position:])
                raise
        return bool(self.turns)

    def _claim(self, tx: Tx, room: int) -> list[Batch]:
        batches: list[Batch] = []
        is_idle = room == ROOM
        while len(batches) < room and (turn := self.turns.next(is_idle=is_idle and not batches)):
            priority, tenant_id = turn
            claimed = outbox_claim(tx, tenant_id, priority=priority, limit=BATCH[priority], is_idle=is_idle)
            batches += claimed.messages()
            if len(claimed.ids) == BATCH[priority]:
                self.turns.add(priority, tenant_id)
        return batches

    def _release(self, batches: list[Batch]) -> None:
        with self.begin(PLATFORM) as tx:
            for batch in batches:
                outbox_release(tx, batch)
        self.look_at = 0.0

    def look(self) -> None:
        """Find out whose rows are due; what is announced needs no look."""
        self.look_at = monotonic() + LOOK_S
        with self.begin(PLATFORM) as tx:
            due = outbox_tenants_due(tx)
        for tenant_id in due:
            self.turns.add_all(tenant_id)

    def sweep_when_due(self) -> None:
        """Ask for a sweep from time to time, the first one at once."""
        if monotonic() >= self.sweep_at and self.broker.waiting() < ROOM:
            self.broker.send_sweep()
            self.sweep_at = monotonic() + SWEEP_EVERY_S

    def go_round(self) -> None:
        """Send what is due, and wait until there may be more."""
        self.notices.listen()  # before looking, so that nothing falls between the look and the wait
        self.sweep_when_due()
        if monotonic() >= self.look_at:
            self.look()
        is_more = self.send_due()
        wait_s = NO_ROOM_S if is_more else min(WAIT_SLICE_S, max(0.0, self.look_at - monotonic()))
        for announced in self.notices.wait(wait_s):
            self._hear(announced)

    def _hear(self, announced: str) -> None:
        """Note that a tenant has news; whatever names none is a reason to look."""
        try:
            self.turns.add_all(TenantId(UUID(announced)))
        except ValueError:
            self.look_at = 0.0


def run_relay(relay: Relay, *, stopped: Callable[[], bool], lives: Callable[[], None]) -> None:
    """Send what is due until ``stopped``; call ``lives`` each time round, also while the broker is away."""
    failures = 0
    while not stopped():
        lives()
        try:
            relay.go_round()
            failures = 0
        except Exception as error:
            failures += 1
            log.warning("relay_failed", error=type(error).__name__, detail=first_line(error), failures=failures)
            relay.look_at = 0.0
            relay.broker.reset()
            _pause(min(0.25 * 2 ** min(failures, 10), PAUSE_MAX_S), stopped)
    relay.notices.close()


def _pause(seconds: float, stopped: Callable[[], bool]) -> None:
    for _ in range(max(1, round(seconds / 0.25))):
        if stopped():
            return
        sleep(0.25)
