"""The type of an open transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.exc import IntegrityError

from identity.model.errors import AlreadyExists
from identity.model.ids import TenantId


@dataclass(frozen=True, slots=True)
class PendingEvents:
    """Rows of the audit trail and of provisioning events that wait for the statement that writes them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    provisioning: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.provisioning)

    def clear(self) -> None:
        """Forget what was written."""
        self.events.clear()
        self.provisioning.clear()


LockKey = tuple[str, UUID | str | int]
"""A kind of row that tokens rest on, and the key of one (``store.locks``)."""


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction of one tenant. The database knows the tenant too, for row-level security.

    ``new_id`` hands out ids for new rows, as a sequence would. ``pending_events`` is None, or holds events that wait to
    go into one statement with the request that caused them; before the commit they are written in any case. ``ends`` is
    what this transaction ends: before it commits it waits for the tokens that are about to be issued on it.
    """

    connection: Connection
    tenant_id: TenantId
    new_id: Callable[[], UUID]
    pending_events: PendingEvents | None = None
    ends: set[LockKey] = field(default_factory=set)

    def execute(
        self, statement: Executable, parameters: Sequence[dict[str, Any]] | dict[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement: one round trip."""
        return self.connection.execute(statement, parameters)


@contextmanager
def uniqueness(reasons: Mapping[str, tuple[str, str]]) -> Iterator[None]:
    """Raise ``AlreadyExists`` where a statement violates one of these constraints, with the reason and the message that
    they have. Other violations pass.
    """
    try:
        yield
    except IntegrityError as error:
        found = reasons.get(str(getattr(getattr(error.orig, "diag", None), "constraint_name", None)))
        if found is None:
            raise
        reason, detail = found
        raise AlreadyExists(detail, reason=reason) from None
