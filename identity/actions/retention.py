"""Retention: expired rows are deleted. No decision depends on it: every row is checked when it is used."""

from datetime import datetime

from identity.store import Tx
from identity.store.retention import expired_delete

ROWS_IN_ONE_GO = 1_000


def sweep_expired(tx: Tx, *, now: datetime) -> bool:
    """Delete one batch of expired rows of a tenant; True when there may be more."""
    return expired_delete(tx, limit=ROWS_IN_ONE_GO, now=now) == ROWS_IN_ONE_GO
