"""The provisioning log: what a source requested, and with which outcome. ``log_entry_insert`` writes an entry."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from identity.actions.connections import get_connection
from identity.model.provisioning_log import LogQuery, RecordedLogEntry
from identity.store import Tx
from identity.store.provisioning_log import log_entry_insert, log_entry_list

__all__ = ["list_log_entries", "log_entry_insert"]


def list_log_entries(tx: Tx, connection_id: UUID, **query: Any) -> Sequence[RecordedLogEntry]:
    """Return one page of a connection's log, by the members of ``LogQuery``. Raises ``NotFound``."""
    get_connection(tx, connection_id)
    return log_entry_list(tx, connection_id, LogQuery(**query))
