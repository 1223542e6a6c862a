"""Pages of a list: at most ``limit`` rows, and an opaque cursor that names the last of them."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.admin.requests import Page
from identity.edge.call import Call
from identity.model.errors import InvalidRequest
from identity.model.ids import parse_id

Action = Callable[..., Any]


def parse_cursor_id(text: str) -> UUID:
    """Return the id after which a page begins. Raises ``InvalidRequest``."""
    found = parse_id(text)
    if found is None:
        raise _unknown_cursor()
    return found


def parse_cursor_instant(text: str) -> datetime | None:
    """Return the instant after which a page begins; None for the empty text. Raises ``InvalidRequest``."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise _unknown_cursor() from None
    if found is not None and found.tzinfo is None:
        raise _unknown_cursor()
    return found


@dataclass(frozen=True, slots=True)
class Cursor:
    """The attributes that a list is sorted by, and how each is parsed; a log's cursor is the id of its last row."""

    parsers: Mapping[str, Callable[[str], Any]] = field(default_factory=lambda: {"id": parse_cursor_id})
    is_opaque: bool = True

    def write(self, row: Any) -> str:
        """Return the key of a row as text."""
        key = [_text(getattr(row, name)) for name in self.parsers]
        return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=") if self.is_opaque else key[0]

    def read(self, text: str | None) -> Any:
        """Return the key in a cursor: one value, or a tuple of several. Raises ``InvalidRequest``."""
        if text is None:
            return None
        parts = _decode(text, len(self.parsers)) if self.is_opaque else [text]
        key = tuple(parse(part) for parse, part in zip(self.parsers.values(), parts, strict=True))
        return key if len(key) > 1 else key[0]


BY_ID = Cursor()
LOG = Cursor(is_opaque=False)


def read_page(
    call: Call, page: Page, action: Action, *names: object, cursor: Cursor = BY_ID, **more: object
) -> dict[str, Any]:
    """Return one page of the rows that ``action`` selects, as the members of a list response."""
    after = cursor.read(page.after)
    rows = action(call.tx, *names, **page.filters, **more, after=after, limit=page.limit + 1)
    items = rows[: page.limit]
    return {"items": items, "next_cursor": cursor.write(items[-1]) if len(rows) > page.limit else None}


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _decode(text: str, length: int) -> list[str]:
    try:
        key = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or len(key) != length or not all(isinstance(part, str) for part in key):
        raise _unknown_cursor()
    if any("\0" in part or not part.isprintable() for part in key):
        raise _unknown_cursor()
    return key


def _unknown_cursor() -> InvalidRequest:
    return InvalidRequest("the cursor is not one of ours", pointer="after")
