"""The messages that a queue may hold. The relay sends two kinds; every other message is foreign.

A message is read into a value and built anew from it: only the task and its arguments reach Celery. Headers that would
delay a task, let it expire, extend its time limits, compress its body or name another queue are left behind.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

RUN_OUTBOX_ROWS = "identity.reconcile"
"""Its name is older than the second kind of row, and is part of what programs of two versions say to each other."""

SWEEP = "identity.sweep"
ROWS_MAX = 50
ARGUMENTS = {RUN_OUTBOX_ROWS: range(2, ROWS_MAX + 2), SWEEP: range(1)}
"""How many UUIDs each task takes: the tenant and rows of the outbox."""

DELIVERIES_MAX = 5
MESSAGE_BYTES_MAX = 16_384
"""A message of ours has at most 6,000 bytes."""
SET_ASIDE_MAX = 1_000
"""Messages kept for an operator to look at; the oldest go first."""


class ForeignMessageError(Exception):
    """The message was not sent by a relay, or was delivered too often. ``reason`` repeats nothing that it holds."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """One task to be run."""

    id: str
    task: str
    arguments: tuple[str, ...]

    def headers(self) -> dict[str, Any]:
        """Return the headers of Celery's message protocol, version 2."""
        return {
            "lang": "py", "task": self.task, "id": self.id, "root_id": self.id, "parent_id": None, "group": None,
            "eta": None, "expires": None, "retries": 0,
            "timelimit": [None, None], "argsrepr": "", "kwargsrepr": "{}", "ignore_result": True,
        }  # fmt: skip

    def body(self) -> bytes:
        """Return the body of Celery's message protocol, version 2."""
        return json.dumps([self.arguments, {}, {}]).encode()


def read_task(content_type: object, headers: object, body: object) -> TaskMessage:
    """Read a message of Celery's protocol, version 2. Raises ``ForeignMessageError``."""
    if content_type != "application/json":
        raise ForeignMessageError("content_type")
    if not isinstance(headers, Mapping):
        raise ForeignMessageError("headers")
    task = headers.get("task")
    if not isinstance(task, str) or task not in ARGUMENTS:
        raise ForeignMessageError("unknown_task")
    return TaskMessage(_uuid(headers.get("id"), "id"), task, _arguments(body, ARGUMENTS[task]))


def read_envelope(text: str | bytes | None, *, delivery: int | None = None) -> tuple[TaskMessage, int]:
    """Read a message as kombu keeps it in PostgreSQL and Redis: JSON with a base64 body; None where it was too large.

    Also returns which delivery this is: ``delivery`` where the queue counts, else one more than was noted by
    ``build_envelope``. Raises ``ForeignMessageError``, for the sixth delivery too.
    """
    envelope = _json(text)
    properties = envelope.get("properties") if isinstance(envelope, dict) else None
    if not isinstance(properties, dict):
        raise ForeignMessageError("envelope")
    if properties.get("body_encoding") != "base64":
        raise ForeignMessageError("body_encoding")
    task = read_task(envelope.get("content-type"), envelope.get("headers"), _decoded(envelope.get("body")))
    noted = _noted(properties.get("deliveries", 0))
    number = noted + 1 if delivery is None else delivery
    if number > DELIVERIES_MAX:
        raise ForeignMessageError("delivered_too_often")
    return task, number


def build_envelope(
    task: TaskMessage, *, queue: str, delivery_tag: str, deliveries: int, origin: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Return ``task`` as kombu takes it from ``queue``; ``origin`` is where the transport found it."""
    return {
        "body": b64encode(task.body()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": task.headers(),
        "properties": {
            "body_encoding": "base64",
            "correlation_id": task.id,
            "delivery_tag": delivery_tag,
            "deliveries": deliveries,
            "delivery_info": {"exchange": "", "routing_key": queue, **(origin or {})},
            "priority": 0,
        },
    }


def _json(text: object) -> Any:
    if not isinstance(text, str | bytes) or len(text) > MESSAGE_BYTES_MAX:
        raise ForeignMessageError("size")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForeignMessageError("not_json") from error


def _decoded(body: object) -> bytes:
    try:
        return b64decode(body, validate=True) if isinstance(body, str) else b""
    except ValueError as error:
        raise ForeignMessageError("body_encoding") from error


def _arguments(body: object, counts: range) -> tuple[str, ...]:
    match _json(body):
        case [list(arguments), dict(keywords), dict()] if len(arguments) in counts and not keywords:
            return tuple(_uuid(argument, "arguments") for argument in arguments)
    raise ForeignMessageError("arguments")


def _uuid(value: object, reason: str) -> str:
    if not isinstance(value, str):
        raise ForeignMessageError(reason)
    try:
        return str(UUID(value))
    except ValueError as error:
        raise ForeignMessageError(reason) from error


def _noted(value: object) -> int:
    if type(value) is not int or not 0 <= value <= DELIVERIES_MAX:
        raise ForeignMessageError("deliveries")
    return value
