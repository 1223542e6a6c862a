"""Cursors (RFC 9865): a place in one order of one query, sealed, so that a client can neither read nor make one.

A cursor opens for the tenant, the connection and the query that it was made for, and for an hour.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, NoReturn
from uuid import UUID

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.errors import Unavailable
from identity.model.ids import TenantId
from identity.model.listing import Place, SortValue
from scim.errors import refuse
from scim.limits import CURSOR_CHARACTERS_MAX, CURSOR_LIFETIME_S

PURPOSE = "scim-cursor"

WRITTEN: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    str: ("text", str),
    bool: ("boolean", bool),
    Decimal: ("number", str),
    datetime: ("instant", datetime.isoformat),
    UUID: ("id", str),
    type(None): ("none", lambda value: value),
}
READ: Mapping[str, Callable[[Any], SortValue]] = {
    "text": str,
    "boolean": bool,
    "number": Decimal,
    "instant": datetime.fromisoformat,
    "id": UUID,
    "none": lambda value: None,
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """The page beyond a place or, ``backward``, the one that ends just before it."""

    place: Place
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Cursors:
    """Make and open the cursors of one query: ``asked`` is all that a page's meaning depends on."""

    encryption: EnvelopeEncryption
    tenant_id: TenantId
    asked: tuple[object, ...]
    now: datetime

    def close(self, cursor: Cursor) -> str:
        """Return the cursor as a client gets it: URL-safe (RFC 9865 §2)."""
        type_, write = WRITTEN[type(cursor.place.value)]
        content = {
            "asked": self._digest(),
            "made_at": int(self.now.timestamp()),
            "type": type_,
            "value": write(cursor.place.value),
            "id": str(cursor.place.id),
            "backward": cursor.backward,
        }
        sealed = self.encryption.encrypt(json.dumps(content).encode(), tenant_id=self.tenant_id, purpose=PURPOSE)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str) -> Cursor:
        """Return the cursor in a text. Raises ``InvalidRequest`` (``invalidCursor``, ``expiredCursor``)."""
        content = json.loads(self._opened(text))
        if content["asked"] != self._digest():
            self._refuse()
        if content["made_at"] + CURSOR_LIFETIME_S < self.now.timestamp():
            refuse("expiredCursor", f"has expired after {CURSOR_LIFETIME_S} seconds", "cursor")
        return Cursor(Place(READ[content["type"]](content["value"]), UUID(content["id"])), content["backward"])

    def _opened(self, text: str) -> bytes:
        if len(text) > CURSOR_CHARACTERS_MAX or not text.isascii():
            self._refuse()
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self.encryption.decrypt(sealed, tenant_id=self.tenant_id, purpose=PURPOSE)
        except (binascii.Error, Unavailable):
            self._refuse()

    def _refuse(self) -> NoReturn:
        """Refuse what is forged and what is another's in the same words, which tell nothing of either."""
        refuse("invalidCursor", "must be a cursor of this query and this connection", "cursor")

    def _digest(self) -> str:
        return sha256(json.dumps(self.asked).encode()).hexdigest()
