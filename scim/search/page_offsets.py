"""Offsets of pages by index (RFC 7644 §3.4.2.4): the resource at which a page ended, so that the next starts there.

A list without filter and order is in the order of creation: new resources come at its end, and deletions only move
others forward. A page after a remembered resource therefore repeats and omits none, also if others were deleted
meanwhile. A page that is counted from the front could.

Each process has its own offsets and may lose them: the rest is then counted from the nearest one, or from the front.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import current_app

from identity.actions.bounded_cache import BoundedCache

COUNTED_MAX = 1_000
"""Resources from the front of a list within which an index is exact, also after deletions: counting them is cheap."""

LISTS_MAX = 1_000  # with remembered offsets, of all connections
OFFSETS_MAX = 64  # of one list; a client that pages in order needs the last one
LIFETIME = timedelta(minutes=10)  # between two pages

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PageOffset:
    """The resource with ``id`` was the ``index``th of its list, counted from 1."""

    index: int
    id: UUID
    made_at: datetime


@dataclass(slots=True)
class PageOffsets:
    """The page offsets of every list. ``Key`` names the tenant, the connection and the list."""

    _lists: BoundedCache[Key, list[PageOffset]] = field(default_factory=lambda: BoundedCache(LISTS_MAX))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def nearest(self, key: Key, index: int, now: datetime) -> PageOffset | None:
        """Return the offset at ``index`` or the last one before it."""
        with self._lock:
            fresh = (each for each in self._lists.get(key) or () if now - each.made_at <= LIFETIME)
            return max((each for each in fresh if each.index <= index), key=lambda each: each.index, default=None)

    def remember(self, key: Key, offset: PageOffset) -> None:
        """Remember an offset, and forget the oldest beyond the limits."""
        with self._lock:
            others = [each for each in self._lists.get(key) or () if each.index != offset.index]
            self._lists.put(key, [*others[1 - OFFSETS_MAX :], offset])


def page_offsets() -> PageOffsets:
    """Return the page offsets of this process."""
    found: PageOffsets = current_app.extensions.setdefault("scim.search.page_offsets", PageOffsets())
    return found
