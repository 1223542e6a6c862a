"""A program that is stuck ends, and its supervisor starts it again.

Not every fault that stops a consumer can be foreseen: lost acknowledgements, a queue that was deleted and made anew, a
lock that is never given back. So a thread of each program looks at the program, and at the database.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from celery.worker.state import active_requests

from identity.model.errors import Unavailable
from identity.model.ids import PLATFORM
from identity.store import OpenTransaction
from identity.store.outbox import outbox_is_untaken

IDLE_S_MAX = 8.0
"""How long an idle worker may leave the messages that the broker has for it."""

STUCK_S = 60.0
"""How long a relay may take for one round, or a worker for all of the messages that it has taken."""

LOOK_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Heartbeat:
    """When a program was last seen to make progress, on the monotonic clock."""

    at: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Note that the program makes progress."""
        self.at = time.monotonic()

    def age_s(self) -> float:
        """Return how many seconds ago the program last made progress."""
        return time.monotonic() - self.at


def end_worker_when_stuck(heartbeat: Heartbeat, open_transaction: OpenTransaction) -> None:
    """Let the worker end when the broker has rows for it and it has taken none for a while.

    ``open_transaction`` is of the relay's role, which sees the rows of every tenant. From the first transaction on, the
    database shows that a worker is there, whichever broker it takes from.
    """
    with suppress(Unavailable), open_transaction(PLATFORM):
        pass

    def is_stuck() -> bool:
        if heartbeat.age_s() < (STUCK_S if active_requests else IDLE_S_MAX):
            return False
        with open_transaction(PLATFORM) as tx:
            return outbox_is_untaken(tx, age=timedelta(seconds=IDLE_S_MAX))

    _end_when(is_stuck)


def end_relay_when_stuck(heartbeat: Heartbeat, stopped: Callable[[], bool]) -> None:
    """Let the relay end when it takes too long for one round."""
    _end_when(lambda: not stopped() and heartbeat.age_s() > STUCK_S)


def _end_when(is_stuck: Callable[[], bool]) -> None:
    """Look every second, in a thread, and end this process with its children; a stuck thread prevents any other end.

    While the database does not answer, no program counts as stuck.
    """

    def look() -> None:
        while True:
            time.sleep(LOOK_S)
            try:
                stuck = is_stuck()
            except Exception as error:
                log.warning("watch_failed", error=type(error).__name__)
                continue
            if stuck:
                log.critical("program_is_stuck", advice="it ends with status 1, to be started anew")
                os._exit(1)

    threading.Thread(target=look, name="watch", daemon=True).start()
