"""RabbitMQ as the broker: kombu's transport, whose messages are read and built anew before Celery sees them.

The queue is a quorum queue, for RabbitMQ counts deliveries only there. What is rejected or was delivered too often goes
to the queue ``identity.set_aside``.
"""

from typing import Any

from kombu.entity import Exchange, Queue
from kombu.message import Message
from kombu.transport import TRANSPORT_ALIASES, pyamqp

from workers.messages import DELIVERIES_MAX, SET_ASIDE_MAX, ForeignMessageError, read_task

QUEUE = "identity"
SET_ASIDE = "identity.set_aside"
QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERIES_MAX - 1,  # deliveries after the first
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": SET_ASIDE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # which that strategy needs
}
SET_ASIDE_ARGUMENTS = {"x-queue-type": "quorum", "x-max-length": SET_ASIDE_MAX}


class QueueMessage(pyamqp.Message):
    """A message that holds what was read from it; ``foreign`` says why nothing was."""

    def __init__(self, msg: Any, channel: Any = None, **options: Any) -> None:
        headers, body = _read(msg)
        self.foreign = headers.get("foreign")
        # Past kombu's own: it would unpack a body that says that it is compressed, however large it becomes.
        Message.__init__(  # type: ignore[no-untyped-call]
            self,
            body=body,
            channel=channel,
            delivery_tag=msg.delivery_tag,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_info=msg.delivery_info,
            headers=headers,
            **options,
        )


class QueueChannel(pyamqp.Channel):
    """A channel that declares the queue for what is set aside before the one that uses it."""

    Message = QueueMessage

    def queue_declare(self, queue: str = "", *arguments: Any, **options: Any) -> Any:
        """Declare a queue; with ours the one beside it."""
        if queue == QUEUE:
            super().queue_declare(SET_ASIDE, durable=True, auto_delete=False, arguments=SET_ASIDE_ARGUMENTS)
        return super().queue_declare(queue, *arguments, **options)


class QueueConnection(pyamqp.Connection):
    """A connection with our channels."""

    Channel = QueueChannel


class QueueTransport(pyamqp.Transport):
    """kombu's transport with our connection."""

    Connection = QueueConnection


class SecureQueueTransport(pyamqp.SSLTransport):
    """The same over TLS."""

    Connection = QueueConnection


def task_queue() -> Queue:
    """Return the queue that relays fill and workers empty."""
    exchange = Exchange("")  # type: ignore[no-untyped-call]
    return Queue(QUEUE, exchange, routing_key=QUEUE, queue_arguments=QUEUE_ARGUMENTS)  # type: ignore[no-untyped-call]


def messages_waiting(connection: Any) -> int:
    """Return how many messages wait for a worker, of a connection of kombu's; the queue is made where there is none."""
    declared = connection.default_channel.queue_declare(
        QUEUE, durable=True, auto_delete=False, arguments=QUEUE_ARGUMENTS
    )
    return int(declared.message_count)


def _read(message: Any) -> tuple[dict[str, Any], bytes]:
    properties = message.properties
    body = message.body.encode(errors="replace") if isinstance(message.body, str) else message.body
    try:
        task = read_task(properties.get("content_type"), properties.get("application_headers"), body)
    except ForeignMessageError as fault:
        return {"foreign": fault.reason}, b""
    return task.headers(), task.body()


def register_transport() -> None:
    """Let Celery find these transports behind ``amqp://`` and ``amqps://``."""
    TRANSPORT_ALIASES["amqp"] = f"{__name__}:{QueueTransport.__name__}"
    TRANSPORT_ALIASES["amqps"] = f"{__name__}:{SecureQueueTransport.__name__}"
