"""Messages of which the broker could not be told that they are done: it gives them again, and here they are done with.

kombu would count them as under way for as long as the channel lasts. A worker takes only so many at a time, so each of
them took a place away, until it took nothing any more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def settling(qos: Any, delivery_tag: str) -> Iterator[None]:
    """Tell the broker of the end of a message in this block; when that fails, forget the message all the same."""
    try:
        yield
    except Exception:
        qos._quick_ack(delivery_tag)
        raise
