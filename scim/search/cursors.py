"""Cursors (RFC 9865 §2): encrypted positions in the order of one query, which a client can neither read nor make.

A cursor opens for the tenant, the connection and the query of its page only, and for an hour.
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
from identity.model.listing import Position, SortValue
from scim.errors import ScimType, refuse
from scim.limits import CURSOR_CHARACTERS_MAX, CURSOR_LIFETIME_S

PURPOSE = "scim-cursor"

SORT_VALUES: Mapping[str, tuple[type, Callable[[Any], Any], Callable[[Any], SortValue]]] = {
    "text": (str, str, str),
    "boolean": (bool, bool, bool),
    "number": (Decimal, str, Decimal),
    "instant": (datetime, datetime.isoformat, datetime.fromisoformat),
    "id": (UUID, str, UUID),
    "none": (type(None), lambda value: value, lambda value: None),
}
"""The types of a sort value by name: each with the functions to and from JSON."""
NAMES = {type_: name for name, (type_, _, _) in SORT_VALUES.items()}


@dataclass(frozen=True, slots=True)
class Cursor:
    """The page after a position or, ``backward``, the one that ends just before it."""

    position: Position
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Cursors:
    """Encrypt and decrypt the cursors of one query. ``query`` holds every value on which its pages depend."""

    encryption: EnvelopeEncryption
    tenant_id: TenantId
    query: tuple[object, ...]
    now: datetime

    def encrypt(self, cursor: Cursor) -> str:
        """Return the cursor as a client receives it: URL-safe (RFC 9865 §2)."""
        name = NAMES[type(cursor.position.value)]
        content = {
            "asked": self._digest(),
            "made_at": int(self.now.timestamp()),
            "type": name,
            "value": SORT_VALUES[name][1](cursor.position.value),
            "id": str(cursor.position.id),
            "backward": cursor.backward,
        }
        sealed = self.encryption.encrypt(json.dumps(content).encode(), tenant_id=self.tenant_id, purpose=PURPOSE)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def decrypt(self, text: str) -> Cursor:
        """Return the cursor in a text. Raises ``InvalidRequest`` (``invalidCursor``, ``expiredCursor``)."""
        content = json.loads(self._decrypted(text))
        if content["asked"] != self._digest():
            self._refuse()
        if content["made_at"] + CURSOR_LIFETIME_S < self.now.timestamp():
            refuse(ScimType.EXPIRED_CURSOR, f"has expired after {CURSOR_LIFETIME_S} seconds", "cursor")
        value = SORT_VALUES[content["type"]][2](content["value"])
        return Cursor(Position(value, UUID(content["id"])), content["backward"])

    def _decrypted(self, text: str) -> bytes:
        if len(text) > CURSOR_CHARACTERS_MAX or not text.isascii():
            self._refuse()
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self.encryption.decrypt(sealed, tenant_id=self.tenant_id, purpose=PURPOSE)
        except (binascii.Error, Unavailable):
            self._refuse()

    def _refuse(self) -> NoReturn:
        """Refuse a forged cursor and a foreign one in the same words."""
        refuse(ScimType.INVALID_CURSOR, "must be a cursor of this query and this connection", "cursor")

    def _digest(self) -> str:
        return sha256(json.dumps(self.query).encode()).hexdigest()
