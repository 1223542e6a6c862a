"""How a relay reaches the broker: through Celery, whichever broker it is."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import Celery

from identity.store.outbox import Batch
from workers.messages import RECONCILE, SWEEP


class CeleryBroker:
    """The broker of a Celery application, over one connection. ``count`` says how many messages wait there."""

    def __init__(self, app: Celery, count: Callable[[Any], int]) -> None:
        self._app = app
        self._count = count
        self._connection: Any = None

    def waiting(self) -> int:
        """Return how many messages wait for a worker."""
        return self._count(self._connected())

    def send(self, batch: Batch) -> None:
        """Ask for rows of the outbox to be worked on."""
        self._send(RECONCILE, [str(batch.tenant_id), *map(str, batch.ids)])

    def send_sweep(self) -> None:
        """Ask for a sweep."""
        self._send(SWEEP, [])

    def reset(self) -> None:
        """Close the connection; the next one is new."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # whatever is wrong with it, it is left behind
                connection.close()

    def _send(self, task: str, arguments: list[str]) -> None:
        self._app.send_task(task, args=arguments, connection=self._connected(), retry=False)

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._app.connection_for_write()
        # kombu would try for ever by itself, and nobody would hear that the broker is away
        return self._connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
