"""Asynchronous requests (RFC 9967 §2.5.1): accepted, done by a worker, their results kept for some hours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

OUTBOX_KIND = "scim_async"
"""The kind of the outbox row of a request, for the workers; the row's id is the request's."""

PENDING_MAX = 10
"""The most requests of one connection that may wait, and so the most bodies that are kept for it."""

PENDING_WAIT_S = 10.0
"""Seconds after which a connection with so many requests may try again."""

RESULT_KEPT_H = 24
"""Hours for which the result of a request can be read after it is done."""

Report = Mapping[str, Any]


class AlreadyClaimed(Exception):  # noqa: N818 - no error: another worker does the request
    """Another worker does the operation, or has done it. The present transaction is undone."""


@dataclass(frozen=True, slots=True)
class AsyncRequest:
    """A request that is not done yet. ``reports`` has its operations that are done, by their indexes.

    ``client_id`` is the OAuth client that sent it for the connection; None where the connection's own token did.
    ``catalogue_version`` is the present one of the tenant's schemas and resource types.
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
        """Return the value of ``Set-Txn`` in the answer."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class AsyncResult:
    """The result of a request; ``reports`` are complete when it is done."""

    is_done: bool
    reports: Mapping[int, Report]
