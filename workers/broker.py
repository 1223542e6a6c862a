"""The default broker: a queue in the same PostgreSQL, through kombu's pgmq transport with four differences.

* A migration makes the queue, so no running process needs the right to make one.
* Connections keep every option of the database URL, TLS among them.
* The consumer listens instead of polling, and reads every two seconds for messages of a worker that has died.
* Each message is read as text and built anew (``workers.messages``); one that cannot be read goes to the archive.
"""

import threading
import time
from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, pgmq
from pgmq import PGMQueue

from identity.store.notices import Notices
from identity.store.queue import QueuePool, Received, message_set_aside, queue_read, queue_waiting
from workers.acknowledgement import acknowledging
from workers.messages import MESSAGE_BYTES_MAX, SET_ASIDE_MAX, ForeignMessageError, build_envelope, read_envelope

CHANNEL = "queue"
LOOK_S = 2.0  # how late a message is found again after its visibility timeout
LISTEN_SLICE_S = 0.2  # how late a signal to stop is seen
BUSY_S = 0.2  # pause while every slot of this worker is taken, unless one becomes free
COUNTED_MAX = 100

log = structlog.get_logger(__name__)


class QueueChannel(pgmq.Channel):
    """A channel on the existing queue. It makes, binds and counts none."""

    supports_fanout = False

    def _new_queue(self, queue: str, **_: Any) -> None:
        pass

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return True

    def _queue_bind(self, *_: Any) -> None:
        pass

    def _maybe_enable_notify(self, queue: str, queue_name: str | None = None) -> None:
        pass

    def _size(self, queue: str) -> int:
        return 0  # kombu counts at every declaration, and does not use the number

    def waiting(self) -> int:
        """Return how many messages wait for a worker, ``COUNTED_MAX`` at most."""
        with self.connection.pool.connection() as connection:
            return queue_waiting(connection, most=COUNTED_MAX)

    def _get_bulk(self, queue: str, *_: Any, **__: Any) -> None:
        with self.connection.pool.connection() as connection:
            received = queue_read(
                connection,
                limit=self._get_message_estimate(),  # type: ignore[no-untyped-call]
                visible_s=self.visibility_timeout,
                bytes_max=MESSAGE_BYTES_MAX,
            )
        if not received:
            raise Empty
        for message in received:
            self._deliver(message, queue)

    def _deliver(self, message: Received, queue: str) -> None:
        try:
            task, number = read_envelope(message.text, delivery=message.deliveries)
        except ForeignMessageError as fault:
            self._set_aside(message.id, fault.reason)
            return
        origin = {"pgmq_queue": queue, "pgmq_msg_id": message.id}
        tag = self._next_delivery_tag()  # type: ignore[no-untyped-call]
        envelope = build_envelope(task, queue=queue, delivery_tag=tag, deliveries=number, origin=origin)
        self.connection._deliver(envelope, queue)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledge a message: its work is done."""
        with acknowledging(self.qos, delivery_tag):
            super().basic_ack(delivery_tag, multiple=multiple)  # type: ignore[no-untyped-call]
        self.connection.room.set()

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give a message back, or move it to the archive."""
        with acknowledging(self.qos, delivery_tag):
            if not requeue:
                self._set_aside(self.qos.get(delivery_tag).delivery_info["pgmq_msg_id"], "rejected")
            super().basic_reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]
        self.connection.room.set()

    def _set_aside(self, message_id: int, reason: str) -> None:
        with self.connection.pool.connection() as connection:
            message_set_aside(connection, message_id, keep=SET_ASIDE_MAX)
        log.error("message_set_aside", reason=reason, message_id=message_id, kept_in="pgmq.a_celery")


class QueueTransport(pgmq.Transport):
    """kombu's transport on connections of our own making, woken by our own trigger."""

    Channel = QueueChannel
    implements = pgmq.Transport.implements.extend(exchange_type=frozenset(["direct"]))

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)  # type: ignore[no-untyped-call]
        self._options: dict[str, Any] = client.transport_options
        self._notices = Notices(self._options["listen_string"], CHANNEL)
        self.pool: QueuePool | None = None
        self._look_at = 0.0
        self.room = threading.Event()

    def verify_connection(self, connection: Any) -> bool:
        """Answer without a statement: kombu calls this before every read, and a broken connection fails in the read."""
        return self.pool is not None and not self.pool.closed

    def _create_pgmq_client(self) -> PGMQueue:
        # Given a URL, pgmq would drop every option that it does not know, sslmode included.
        options = self._options
        self.pool = QueuePool(options["conn_string"], role=options["role"], is_prepared=options["is_prepared"])
        return PGMQueue(pool=self.pool, vt=int(options["visibility_timeout"]), init_extension=False)

    def close_connection(self, connection: Any) -> None:
        """Close everything that this connection opened."""
        self._notices.close()
        super().close_connection(connection)
        if self.pool is not None:
            self.pool.close()

    def drain_events(  # type: ignore[override]
        self, connection: Any, timeout: float | None = None
    ) -> None:
        """Deliver what is there, or wait a moment for it; raises ``TimeoutError`` when nothing came."""
        self._notices.listen()  # before looking, so that nothing falls between the look and the wait
        self.room.clear()
        if not any(channel.qos.can_consume() for channel in connection.channels):
            self.room.wait(BUSY_S)
            raise TimeoutError
        if time.monotonic() < self._look_at and not self._notices.wait(min(timeout or LOOK_S, LISTEN_SLICE_S)):
            raise TimeoutError
        try:
            self.cycle.get(self._deliver, timeout=timeout)  # type: ignore[union-attr]
        except Empty:
            self._look_at = time.monotonic() + LOOK_S
            raise TimeoutError from None
        self._look_at = 0.0  # where one message was there may be more


def messages_waiting(connection: Any) -> int:
    """Return how many messages wait for a worker, of a connection of kombu's."""
    return int(connection.default_channel.waiting())


def register_transport() -> None:
    """Let Celery find this transport behind ``pgmq://``."""
    TRANSPORT_ALIASES["pgmq"] = f"{__name__}:{QueueTransport.__name__}"
