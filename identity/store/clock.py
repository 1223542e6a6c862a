"""The database's clock beside this machine's."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

CLOCK_OFF_S_MAX = 1.0
"""A larger difference between two clocks is reported."""


THIS_MINUTE = "CAST(extract(epoch FROM now()) AS bigint) / 60"
"""The minute by the clock that all processes share, as SQL."""


def clock_ahead_by(connection: Connection, clock: Callable[[], datetime]) -> timedelta:
    """Return by how much ``clock`` is ahead of the database's; behind it where negative. Exact to half a round trip."""
    started_at = clock()
    theirs: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return started_at + (clock() - started_at) / 2 - theirs
