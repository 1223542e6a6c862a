"""The type of an open transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, CursorResult, Executable

from identity.model.ids import TenantId


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction of one tenant. The database knows the tenant too: row-level security holds the wall again.

    ``new_id`` hands out ids for new rows, as a sequence would. ``unwritten`` is None, or holds events that wait to go
    into one statement with the request that caused them; before the commit they are written in any case.
    """

    connection: Connection
    tenant_id: TenantId
    new_id: Callable[[], UUID]
    unwritten: list[dict[str, Any]] | None = None

    def execute(
        self, statement: Executable, parameters: Sequence[dict[str, Any]] | dict[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement: one round trip."""
        return self.connection.execute(statement, parameters)
