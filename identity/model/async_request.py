"""Requests whose answers nobody waits for (RFC 9967 §2.5.1): accepted, done by a worker, their results kept a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

OUTBOX_KIND = "scim_async"
"""The kind of the outbox row that asks the workers for it; that row's id is the request's."""

PENDING_MAX = 10
"""Requests of one connection that are not done yet: as many bodies as that are kept for it."""

PENDING_WAIT_S = 10.0
"""After how long whoever has so many may ask again."""

RESULT_KEPT_H = 24
"""For how long after it is done the result of a request can be read."""

Report = Mapping[str, Any]


class AlreadyClaimed(Exception):  # noqa: N818 - no error: somebody else does the same request at this moment
    """Another worker is at it, or has been. What was about to be done is undone, and left to that one."""


@dataclass(frozen=True, slots=True)
class AsyncRequest:
    """A request that is not done yet. ``reports`` of what is, by the place of an operation.

    ``client_id`` spoke for the connection, if it was not its own token. ``catalogue_version`` is that of the tenant's
    schemas and resource types now.
    """

    id: UUID
    connection_id: UUID
    client_id: str | None
    request_id: str
    sealed: bytes
    catalogue_version: int
    reports: Mapping[int, Report]

    @property
    def txn(self) -> str:
        """Return the ``Set-Txn`` that was answered."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class AsyncResult:
    """What became of a request; ``reports`` are complete when it is done."""

    is_done: bool
    reports: Mapping[int, Report]
