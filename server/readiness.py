"""Readiness, for /readyz: whether this process can serve, and if not, which part is at fault.

The broker is no part of it: tokens need none. Nor is the clock, of which the answer only warns: where the database's is
wrong, every process would be taken out of service.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import structlog

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.connection import DEVELOPMENT_ISSUER
from identity.model.errors import Unavailable
from identity.store import Connection, Engine
from identity.store.clock import CLOCK_OFF_S_MAX, clock_ahead_by
from identity.store.errors import ProgrammingError, SQLAlchemyError
from identity.store.health import disk_has_room, disk_watched, is_read_only
from identity.store.isolation import check_isolation
from identity.store.transaction import check_role, untenanted
from identity.store.trust import tenants_trusting
from server.failures import sentence_of
from server.key_check import WRONG_KEY, look_at_keys
from server.schema import NEVER_MIGRATED, schema_seen

Fault = Literal[
    "database_unreachable",
    "tenants_not_isolated",
    "development_issuer",
    "schema",
    "wrong_key_encryption_key",
    "read_only",
    "disk_full",
]

LOOK_S = 1.0

NAMED_MAX = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a look: the part that is not ready, None where all are, and a detail of it.

    ``clock_ahead_s`` is by how many seconds this process's clock is ahead of the database's, where that is known.
    """

    fault: Fault | None
    detail: str | None = None
    clock_ahead_s: float | None = None

    def members(self) -> dict[str, Any]:
        """Return the members of an answer beside the fault."""
        members: dict[str, Any] = {} if self.detail is None else {"detail": self.detail}
        if self.clock_ahead_s is None:
            return members
        members["clock_ahead_s"] = round(self.clock_ahead_s, 1)
        if abs(self.clock_ahead_s) > CLOCK_OFF_S_MAX:
            members["warning"] = "this process's clock is not the database's: tokens and assertions go by it"
        return members


class Readiness:
    """The readiness of one process. Any thread may use it."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], datetime],
        encryption: EnvelopeEncryption | None = None,
        *,
        allow_development_issuer: bool = False,
    ) -> None:
        self._engine, self._clock, self._disk = engine, clock, disk_watched(engine)
        self._allow_development_issuer = allow_development_issuer
        self._unproved_encryption = encryption
        """None once it has decrypted a key of the database: keys are never encrypted anew."""
        self._logged: Fault | None = None
        self.is_isolated = False
        """True once row-level security was seen to bind the login, and no tenant to trust the development issuer:
        nothing is served before.
        """

    def look(self) -> Found:
        """Return which part is not ready, if any; log it when that changes."""
        found, error = self._look()
        if found.fault != self._logged:
            change = "not_ready" if found.fault else "ready_again"
            log.warning(change, reason=found.fault, detail=found.detail, error=error)
            self._logged = found.fault
        return found

    def _look(self) -> tuple[Found, str | None]:
        try:
            return self._isolation() or self._key(self._database()), None
        except (SQLAlchemyError, Unavailable) as error:
            return Found("database_unreachable"), sentence_of(error) or type(error).__name__

    def check_isolation(self) -> None:
        """Raises ``Unavailable``, which names every fault, ``OperationalError`` without a database, and
        ``ProgrammingError`` before the first migration.
        """
        check_role(self._engine)
        check_isolation(self._engine)
        if not self._allow_development_issuer:
            refuse_development_issuer(self._engine)
        self.is_isolated = True

    def _isolation(self) -> Found | None:
        if self.is_isolated:
            return None
        try:
            self.check_isolation()
        except ProgrammingError:
            return Found("schema", NEVER_MIGRATED)
        except Unavailable as error:
            if error.reason == "role_missing":
                return Found("schema", NEVER_MIGRATED)
            fault: Fault = "development_issuer" if error.reason == "development_issuer" else "tenants_not_isolated"
            log.warning(fault, detail=error.detail)
            return Found(fault)
        return None

    def _key(self, found: Found) -> Found:
        """Return ``found``, unless the key-encryption key is another than the one that encrypted the signing keys."""
        if self._unproved_encryption is None or found.fault not in (None, "read_only"):
            return found
        keys = look_at_keys(self._engine, self._unproved_encryption, self._clock())
        if keys.is_wrong_key:
            return replace(found, fault="wrong_key_encryption_key", detail=WRONG_KEY)
        if keys.opened:
            self._unproved_encryption = None
        return found

    def _database(self) -> Found:
        with untenanted(self._engine) as connection:
            ahead_s = clock_ahead_by(connection, self._clock).total_seconds()
            schema_fault = _schema_fault(connection)
            if schema_fault is not None:
                return Found("schema", schema_fault, ahead_s)
            if is_read_only(connection):
                return Found("read_only", None, ahead_s)
            if self._disk.is_full:
                self._disk.is_full = not disk_has_room(connection)
            return Found("disk_full" if self._disk.is_full else None, None, ahead_s)


def _schema_fault(connection: Connection) -> str | None:
    try:
        return schema_seen(connection).fault
    except ProgrammingError:
        return NEVER_MIGRATED


def ask_until_isolated(readiness: Readiness, pause: Callable[[float], None] = time.sleep) -> None:
    """Look at the database now, and if need be in a thread of its own, until it isolates tenants."""

    def ask_on() -> None:
        while not readiness.is_isolated:
            pause(LOOK_S)
            readiness.look()

    readiness.look()
    if not readiness.is_isolated:
        threading.Thread(target=ask_on, name="isolation", daemon=True).start()


def refuse_development_issuer(engine: Engine) -> None:
    """Look at every tenant. Raises ``Unavailable``, which names those that trust the development issuer, and
    SQLAlchemy's errors without a database, or before the first migration.
    """
    slugs = tenants_trusting(engine, DEVELOPMENT_ISSUER)
    if slugs:
        named = ", ".join(slugs[:NAMED_MAX]) + (f" and {len(slugs) - NAMED_MAX} more" if slugs[NAMED_MAX:] else "")
        raise Unavailable(
            f"these tenants trust the development issuer, whose key lies in a developer's folder: {named}. "
            "End those connections: identity dev distrust",
            reason="development_issuer",
        )
