"""A program that waits for ever for what has come already is of no use: it ends, and its supervisor starts it anew.

Nobody can list the faults that make a consumer deaf (acknowledgements that were lost, a queue that was deleted behind
its back, a lock that nobody gives back). So a thread of its own looks at each program, and asks the database.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Pulse:
    """When a program was last seen to get on, on the monotonic clock."""

    at: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Get on."""
        self.at = time.monotonic()

    def age_s(self) -> float:
        """Return for how many seconds it has not got on."""
        return time.monotonic() - self.at


def watch(is_stuck: Callable[[], bool], *, every_s: float, leave: Callable[[], None]) -> None:
    """Ask every so often whether this program is stuck; then log it, and call ``leave``. While the database does not
    answer, nobody is stuck.
    """

    def look() -> None:
        while True:
            time.sleep(every_s)
            try:
                stuck = is_stuck()
            except Exception as error:
                log.warning("watch_failed", error=type(error).__name__)
                continue
            if stuck:
                log.critical("program_is_stuck", advice="it ends with status 1, to be started anew")
                leave()

    threading.Thread(target=look, name="watch", daemon=True).start()


def leave_at_once() -> None:
    """End this process and, by the kernel, its children: whatever is stuck would not let it end otherwise."""
    os._exit(1)
