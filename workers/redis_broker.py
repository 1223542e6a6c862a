"""Redis as the broker: kombu's transport, which gets only messages that ``workers.messages`` has built anew.

A message that cannot be read, was delivered too often or was rejected is kept in the list ``identity.set_aside``.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis import Redis

from workers.acknowledgement import acknowledging
from workers.messages import MESSAGE_BYTES_MAX, SET_ASIDE_MAX, ForeignMessageError, build_envelope, read_envelope

QUEUE = "celery"
SET_ASIDE = "identity.set_aside"

log = structlog.get_logger(__name__)

Receive = Callable[[bytes, bytes], tuple[bytes, bytes] | None]


class QueueClient(Redis):
    """A client that shows kombu no item of a queue before ``receive`` has read it."""

    def __init__(self, *arguments: Any, receive: Receive, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._receive = receive

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """Return the answer to a command; for an item that was set aside, that there was none."""
        answer = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        return self._receive(*answer) if command_name == "BRPOP" and answer else answer


class QueueQoS(kombu_redis.QoS):
    """kombu's record of messages under way, which is in Redis."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message: its work is done."""
        with acknowledging(self, delivery_tag):
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give a message back, or set it aside."""
        with acknowledging(self, delivery_tag):
            if not requeue:
                message = self.get(delivery_tag)  # type: ignore[no-untyped-call]
                self.channel.set_aside(json.dumps(message._raw).encode(), "rejected")
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Give back a message of a worker that has died; set aside an item that is not a message of ours."""
        with self.channel.conn_or_acquire(client) as connection:
            kept = connection.hget(self.unacked_key, tag)
        if kept is None or _is_restorable(kept):
            super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]
            return
        self.channel.set_aside(kept, "not_restorable")
        self._remove_from_indices(tag).execute()  # type: ignore[no-untyped-call]


class QueueChannel(kombu_redis.Channel):
    """A channel that reads each message before kombu does."""

    QoS = QueueQoS

    def _get_client(self) -> Callable[..., Redis]:
        super()._get_client()  # type: ignore[no-untyped-call]  # checks the version of the library
        return partial(QueueClient, receive=self._read_item)

    def _read_item(self, key: bytes, item: bytes) -> tuple[bytes, bytes] | None:
        try:
            task, number = read_envelope(item)
        except ForeignMessageError as fault:
            self.set_aside(item, fault.reason)
            return None
        queue = key.decode().rsplit(self.sep, 1)[0]
        tag = self._next_delivery_tag()  # type: ignore[no-untyped-call]
        envelope = build_envelope(task, queue=queue, delivery_tag=tag, deliveries=number)
        return key, json.dumps(envelope).encode()

    def set_aside(self, item: bytes, reason: str) -> None:
        """Keep the first 16 kB of ``item`` with the reason and Redis's time in seconds; the newest 1,000 are kept."""
        message = item[:MESSAGE_BYTES_MAX].decode(errors="backslashreplace")
        with self.conn_or_acquire() as client:
            entry = json.dumps({"reason": reason, "at": client.time()[0], "message": message})
            client.pipeline().lpush(SET_ASIDE, entry).ltrim(SET_ASIDE, 0, SET_ASIDE_MAX - 1).execute()
        log.error("message_set_aside", reason=reason, kept_in=SET_ASIDE)


class QueueTransport(kombu_redis.Transport):
    """kombu's transport with our channel."""

    Channel = QueueChannel


def _is_restorable(kept: bytes) -> bool:
    """Say whether it is what kombu keeps of a message that we built: the envelope, the exchange, the queue."""
    try:
        envelope, exchange, queue = json.loads(kept)
        read_envelope(json.dumps(envelope), delivery=1)
    except (ValueError, TypeError, RecursionError, ForeignMessageError):
        return False
    return exchange == "" and isinstance(queue, str)


def messages_waiting(connection: Any) -> int:
    """Return how many messages wait for a worker, of a connection of kombu's."""
    return int(connection.default_channel._size(QUEUE))


def register_transport() -> None:
    """Let Celery find this transport behind ``redis://`` and ``rediss://``."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{QueueTransport.__name__}"
