"""Acknowledgements that do not reach the broker: it delivers the message again, and this worker forgets it.

kombu would count such a message as under way for as long as the channel lasts. A worker takes few messages at a time,
so each of them would occupy a slot, until the worker took no more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def acknowledging(qos: Any, delivery_tag: str) -> Iterator[None]:
    """Acknowledge or reject a message in this block. When that fails, forget the message all the same."""
    try:
        yield
    except Exception:
        qos._quick_ack(delivery_tag)
        raise
