"""Outbox to broker: whatever is due is sent until a worker has marked it done. Any number may run."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from time import sleep

import structlog

from identity.model.ids import PLATFORM, TenantId
from identity.store import Tx
from identity.store.notices import Notices, wait_for
from identity.store.outbox import Due, outbox_claim, outbox_release

CHANNEL = "outbox"
BATCH = 100
IDLE_S = 5.0  # how late a row is sent again; new rows are announced and sent at once
PAUSE_MAX_S = 30.0
SWEEP_EVERY_S = 600.0

Begin = Callable[[TenantId], AbstractContextManager[Tx]]
Send = Callable[[Due], None]

log = structlog.get_logger(__name__)


def send_due(begin: Begin, send: Send, *, now: datetime) -> int:
    """Send one batch of what is due and return its size.

    What ``send`` refuses is due again at once. Nothing is sent while the claim is uncommitted: a worker would be
    quicker, find the row locked, and leave it alone.
    """
    with begin(PLATFORM) as tx:  # the relay's role sees ids of every tenant's rows and nothing else
        batch = outbox_claim(tx, limit=BATCH, now=now)
    for position, due in enumerate(batch):
        try:
            send(due)
        except Exception:
            with begin(PLATFORM) as tx:
                outbox_release(tx, batch[position:], now=now)
            raise
    return len(batch)


def run_relay(
    begin: Begin,
    send: Send,
    notices: Notices,
    *,
    send_sweep: Callable[[], None],
    clock: Callable[[], datetime],
    stopped: Callable[[], bool],
) -> None:
    """Send what is due until ``stopped``; sleep until a new row is announced, and when the broker is away.

    The sweep is sent at once and then again every ``SWEEP_EVERY_S``.
    """
    failures, sweep_at = 0, clock()
    while not stopped():
        try:
            notices.listen()
            if clock() >= sweep_at:
                send_sweep()
                sweep_at = clock() + timedelta(seconds=SWEEP_EVERY_S)
            while not stopped() and send_due(begin, send, now=clock()) == BATCH:
                pass
            failures = 0
            wait_for(notices, IDLE_S, until=stopped)
        except Exception as error:
            failures += 1
            log.warning("relay_failed", error=type(error).__name__, failures=failures)
            _pause(min(0.25 * 2**failures, PAUSE_MAX_S), stopped)
    notices.close()


def _pause(seconds: float, stopped: Callable[[], bool]) -> None:
    for _ in range(max(1, round(seconds / 0.25))):
        if stopped():
            return
        sleep(0.25)
