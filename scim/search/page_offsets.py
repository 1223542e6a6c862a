"""Where pages by index ended, so that a page deep in a list begins behind the one before it and is not counted out.

A list without filter and order is in the order of creation: what is created comes at its end, and what is deleted only
moves the others forward. So a page behind an anchor shows whatever has not been shown; where resources were deleted
meanwhile, it shows none twice and leaves none out, which an index counted anew would do.

Anchors are a process's own and may be lost at any time: from the nearest one that is left, the rest is counted out.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import current_app

from identity.actions.bounded_cache import BoundedCache

COUNTED_OUT_MAX = 1_000
"""Resources from the front of a list within which an index is exact, whatever was deleted: counting them is cheap."""

LISTS_MAX = 1_000  # that are paged through at once, of all connections
ANCHORS_MAX = 64  # of one list; who pages in order needs the last one
LIFETIME = timedelta(minutes=10)  # between two pages

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The resource with ``id`` was the ``index``th of its list, counted from 1."""

    index: int
    id: UUID
    made_at: datetime


@dataclass(slots=True)
class Anchors:
    """The anchors of every list that is being paged through. ``Key`` names tenant, connection and list."""

    _kept: BoundedCache[Key, list[Anchor]] = field(default_factory=lambda: BoundedCache(LISTS_MAX))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def nearest(self, key: Key, index: int, now: datetime) -> Anchor | None:
        """Return the anchor at ``index`` or the last one before it."""
        with self._lock:
            found = [anchor for anchor in self._kept.get(key) or () if anchor.index <= index and _is_fresh(anchor, now)]
            return max(found, key=lambda anchor: anchor.index, default=None)

    def remember(self, key: Key, anchor: Anchor) -> None:
        """Keep an anchor; the oldest give way."""
        with self._lock:
            others = [kept for kept in self._kept.get(key) or () if kept.index != anchor.index]
            self._kept.put(key, [*others[1 - ANCHORS_MAX :], anchor])


def anchors() -> Anchors:
    """Return the anchors of this process."""
    found: Anchors = current_app.extensions.setdefault("scim.search.page_offsets", Anchors())
    return found


def _is_fresh(anchor: Anchor, now: datetime) -> bool:
    return now - anchor.made_at <= LIFETIME
