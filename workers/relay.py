"""The relay: it sends due rows of the outbox to the broker until a worker has marked them done. Any number may run.

The broker holds few messages at a time, so an urgent row never waits behind a backlog. The relay keeps ``ROOM``
messages waiting there, and takes the next rows in the order of their priority, from each tenant in turn. So messages
do not pile up either while no worker runs.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import structlog
from celery import Celery

from identity.model.errors import first_line
from identity.model.ids import PLATFORM, TenantId
from identity.model.outbox import LONG, ORDINARY, URGENT
from identity.store import OpenTransaction, Tx
from identity.store.notices import Notices
from identity.store.outbox import Batch, outbox_claim, outbox_release, outbox_tenants_due
from workers.liveness import Heartbeat
from workers.messages import ROWS_MAX, RUN_OUTBOX_ROWS, SWEEP
from workers.round_robin import RoundRobin

CHANNEL = "outbox"
ROOM = 4
"""Messages that wait in the broker for a worker; more are sent when workers have taken some."""

BATCH = {URGENT: 20, ORDINARY: ROWS_MAX, LONG: 1}
"""Rows in one message, by priority: about a tenth of a second's work."""

LOOK_S = 2.0  # how late a row is found that was not announced, or is due again
NO_ROOM_S = 0.02  # how late it is seen that a worker has taken a message
WAIT_SLICE_S = 0.25  # how late a signal to stop is seen
PAUSE_MAX_S = 2.0  # how late it is seen that the broker or the database is back
SWEEP_EVERY_S = 600.0

log = structlog.get_logger(__name__)


class Broker:
    """The broker of a Celery application, over one connection. Each method raises when the broker is away.

    ``count`` returns how many messages wait, of a connection of kombu's.
    """

    def __init__(self, app: Celery, count: Callable[[Any], int]) -> None:
        self._app = app
        self._count = count
        self._connection: Any = None

    def waiting(self) -> int:
        """Return how many messages wait for a worker."""
        return self._count(self._connected())

    def send(self, batch: Batch) -> None:
        """Let a worker run rows of the outbox."""
        self._send(RUN_OUTBOX_ROWS, [str(batch.tenant_id), *map(str, batch.ids)])

    def send_sweep(self) -> None:
        """Let a worker sweep."""
        self._send(SWEEP, [])

    def reset(self) -> None:
        """Close the connection, which may be broken; the next one is new."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # whatever is wrong with it, it is left behind
                connection.close()

    def _send(self, task: str, arguments: list[str]) -> None:
        self._app.send_task(task, args=arguments, connection=self._connected(), retry=False)

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._app.connection_for_write()
        # kombu would try for ever by itself, and the relay would not see that the broker is away
        return self._connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)


@dataclass
class Relay:
    """One relay. ``tenants`` is the order in which rows of tenants are taken."""

    open_transaction: OpenTransaction
    broker: Broker
    notices: Notices
    tenants: RoundRobin = field(default_factory=RoundRobin)
    look_at: float = 0.0
    sweep_at: float = 0.0

    def send_due(self) -> bool:
        """Send what is due while the broker has room; return whether more may be due than it had room for.

        Nothing is sent while the claim is uncommitted: a worker would be quicker, find the rows locked, and leave them
        alone. What could not be sent is due again at once.
        """
        if not self.tenants:
            return False
        room = ROOM - self.broker.waiting()
        if room <= 0:
            return bool(self.tenants)
        with self.open_transaction(PLATFORM) as tx:  # the relay's role sees ids of every tenant's rows and nothing else
            batches = self._claim(tx, room)
        for position, batch in enumerate(batches):
            try:
                self.broker.send(batch)
            except Exception:
                self._release(batches[position:])
                raise
        return bool(self.tenants)

    def _claim(self, tx: Tx, room: int) -> list[Batch]:
        batches: list[Batch] = []
        is_idle = room == ROOM
        while len(batches) < room and (turn := self.tenants.next(is_idle=is_idle and not batches)):
            priority, tenant_id = turn
            claimed = outbox_claim(tx, tenant_id, priority=priority, limit=BATCH[priority], is_idle=is_idle)
            batches += claimed.messages()
            if len(claimed.ids) == BATCH[priority]:
                self.tenants.add(priority, tenant_id)
        return batches

    def _release(self, batches: list[Batch]) -> None:
        with self.open_transaction(PLATFORM) as tx:
            for batch in batches:
                outbox_release(tx, batch)
        self.look_at = 0.0

    def look(self) -> None:
        """Read which tenants have due rows. A row that was announced needs no look."""
        self.look_at = monotonic() + LOOK_S
        with self.open_transaction(PLATFORM) as tx:
            due = outbox_tenants_due(tx)
        for tenant_id in due:
            self.tenants.add_all(tenant_id)

    def sweep_when_due(self) -> None:
        """Send a sweep every ``SWEEP_EVERY_S``, the first one at once."""
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
        """Note that a tenant has new rows; an announcement without a tenant is a reason to look."""
        try:
            self.tenants.add_all(TenantId(UUID(announced)))
        except ValueError:
            self.look_at = 0.0


def run_relay(relay: Relay, heartbeat: Heartbeat, *, stopped: Callable[[], bool]) -> None:
    """Send what is due until ``stopped``. The heart beats each time round, also while the broker is away."""
    failures = 0
    while not stopped():
        heartbeat.beat()
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
    relay.broker.reset()


def _pause(seconds: float, stopped: Callable[[], bool]) -> None:
    for _ in range(max(1, round(seconds / 0.25))):
        if stopped():
            return
        sleep(0.25)
