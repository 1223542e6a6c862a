"""The queue in PostgreSQL (pgmq), as a worker takes from it. Its tables belong to no tenant: messages hold ids only."""

from dataclasses import dataclass
from typing import Any

import psycopg

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


@dataclass(frozen=True, slots=True)
class Received:
    """A message, unread: ``text`` is its JSON, or None when it is larger than asked for or NULL."""

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
