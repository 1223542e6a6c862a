"""The type of an open transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable

from identity.model.ids import TenantId


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction of one tenant. The database knows the tenant too: row-level security holds the wall again."""

    connection: Connection
    tenant_id: TenantId

    def execute(
        self, statement: Executable, parameters: Sequence[dict[str, Any]] | dict[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Run one statement: one round trip."""
        return self.connection.execute(statement, parameters)  # type: ignore[return-value]
