"""A worker whose work can be seen and slowed: each run writes one event, then waits EFFECT_WAIT_S, then commits."""

import os
import sys
import time
from datetime import datetime
from uuid import UUID

from config.celery import Pool, run_worker
from config.settings import load_settings
from identity.actions.reconciliation import Position
from identity.model.access import Caller
from identity.model.event import Event
from identity.store import Tx
from identity.store.events import event_insert
from workers import tasks


def effect(tx: Tx, principal_id: UUID, *, position: Position, caller: Caller, now: datetime) -> None:
    """Write one event; the row that asked for it is named by the caller's request id."""
    event_insert(tx, Event(type="test.effect", subject_id=principal_id), caller=caller, now=now)
    time.sleep(float(os.environ.get("EFFECT_WAIT_S", "0")))


def run_effect_worker(pool: Pool | None = None) -> None:
    """Run a worker that does nothing but ``effect``, for each row alone."""
    tasks.reconcile_principal = effect  # type: ignore[assignment]
    tasks.settled_observe = lambda *_: set()
    run_worker(load_settings(), pool=pool)


if __name__ == "__main__":
    run_effect_worker(pool="prefork" if sys.argv[1] == "prefork" else "threads")
