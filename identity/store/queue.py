"""The queue in PostgreSQL (pgmq), as a worker takes from it. Its tables belong to no tenant: messages hold ids only."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from identity.store.session import PREPARE_AFTER, Role, begin_sql

READ = """
SELECT msg_id, read_ct, CASE WHEN octet_length(message::text) <= %(bytes_max)s THEN message::text END
  FROM pgmq.read('celery', %(visible_s)s, %(limit)s) ORDER BY msg_id
"""
# Not pgmq.archive: a message with the number of one that is in the archive already would stay in the queue for ever.
SET_ASIDE = """
WITH taken AS (
    DELETE FROM pgmq.q_celery WHERE msg_id = %s
    RETURNING msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers
)
INSERT INTO pgmq.a_celery (msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers)
SELECT msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers FROM taken
ON CONFLICT DO NOTHING
"""
WAITING = """
SELECT count(*) FROM (SELECT FROM pgmq.q_celery WHERE vt <= clock_timestamp() LIMIT %s) AS waiting
"""
TRIM = """
DELETE FROM pgmq.a_celery
 WHERE msg_id IN (SELECT msg_id FROM pgmq.a_celery ORDER BY archived_at DESC, msg_id DESC OFFSET %s)
"""


CONNECTIONS_MAX = 2
WAIT_S = 3.0


class QueuePool(ConnectionPool):
    """Connections of one process to the queue, in which each use is one transaction with the rights of ``role``."""

    def __init__(self, conninfo: str, *, role: Role, is_prepared: bool) -> None:
        self._begin = begin_sql(role)
        threshold = PREPARE_AFTER if is_prepared else None
        super().__init__(
            conninfo,
            kwargs={"autocommit": True, "prepare_threshold": threshold},  # BEGIN is ours, and says more
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=WAIT_S,
            reconnect_timeout=WAIT_S,
            open=True,
        )

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection for one transaction, which commits when the block ends and rolls back when it raises."""
        with super().connection(timeout) as connection:
            connection.execute(self._begin.encode())
            yield connection


@dataclass(frozen=True, slots=True)
class Received:
    """A message, unread: ``text`` is its JSON, or None when it is NULL or larger than the limit."""

    id: int
    deliveries: int
    text: str | None


def queue_read(connection: psycopg.Connection[Any], *, limit: int, visible_s: int, bytes_max: int) -> list[Received]:
    """Take up to ``limit`` messages; none of them is given to another worker for ``visible_s`` seconds."""
    parameters = {"limit": limit, "visible_s": visible_s, "bytes_max": bytes_max}
    return [Received(*row) for row in connection.execute(READ, parameters)]


def queue_waiting(connection: psycopg.Connection[Any], *, most: int) -> int:
    """Return how many messages wait for a worker, ``most`` at most; one that a worker has taken does not wait."""
    [[count]] = connection.execute(WAITING, (most,))
    return int(count)


def message_set_aside(connection: psycopg.Connection[Any], message_id: int, *, keep: int) -> None:
    """Move a message to the archive (``pgmq.a_celery``), which keeps the newest ``keep``."""
    connection.execute(SET_ASIDE, (message_id,))
    connection.execute(TRIM, (keep,))
