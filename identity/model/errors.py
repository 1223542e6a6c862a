"""One tree of errors. Edges translate them into their protocol's own; nothing here knows of HTTP.

``detail`` may be shown to the caller; ``cause`` is for the log only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID

LINE_LENGTH_MAX = 300


def first_line(said: object) -> str:
    """Return the first line of what an error says: without the statement that it was said of, and without hints."""
    return str(said).strip().split("\n", 1)[0][:LINE_LENGTH_MAX].rstrip(".:; ")


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a programming error
    """The request is refused. ``code`` is stable and names the failed rule."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, *, reason: str | None = None, cause: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason or self.code
        self.cause = cause
        self.subject_id: UUID | None = None
        self.actor_ids: tuple[UUID, ...] = ()
        self.txn: UUID | None = None
        self.parent: UUID | None = None
        """The token of ours that was presented to be traded."""
        self.claimed: dict[str, str] = {}
        """Unverified members of the request about its caller; for the event, bounded and printable."""

    def concerns(
        self,
        *,
        subject_id: UUID | None = None,
        actor_ids: tuple[UUID, ...] = (),
        txn: UUID | None = None,
        parent: UUID | None = None,
    ) -> None:
        """Set the parties that it concerns, for the audit trail."""
        self.subject_id, self.actor_ids, self.txn, self.parent = subject_id, actor_ids, txn, parent


@contextmanager
def concerning(**parties: Any) -> Iterator[None]:
    """Name the parties that a refusal of the block concerns, unless it names some already."""
    try:
        yield
    except Refusal as refusal:
        if not refusal.actor_ids:
            refusal.concerns(**parties)
        raise


class NotFound(Refusal):
    """It does not exist, or it is not yours: the same answer."""

    code = "not_found"


class InvalidRequest(Refusal):
    """The request breaks its protocol's grammar or types. ``pointer`` is a JSON pointer (RFC 6901) or a name."""

    code = "invalid_value"

    def __init__(self, detail: str, *, pointer: str | None = None, reason: str | None = None) -> None:
        super().__init__(detail, reason=reason)
        self.pointer = pointer


class AlreadyExists(Refusal):
    """Another row holds what must be unique."""

    code = "uniqueness"


class PreconditionFailed(Refusal):
    """The caller's ``If-Match`` names an older version."""

    code = "precondition_failed"


class Conflict(Refusal):
    """The present state does not allow it."""

    code = "conflict"


class NotAllowed(Refusal):
    """The caller is known, and may not."""

    code = "forbidden"


class NotAuthenticated(Refusal):
    """The caller's credential is absent, unknown, ended or malformed: one answer for all of them."""

    code = "unauthenticated"


class LimitExceeded(Refusal):
    """A published limit is exceeded."""

    code = "too_large"


class Unavailable(Refusal):
    """A part that the answer depends on does not answer; nothing was decided."""

    code = "unavailable"


class RateLimited(Refusal):
    """The caller sends more requests than it may; ``wait_s`` seconds from now it may send another (RFC 6585 §4)."""

    code = "too_often"

    def __init__(self, detail: str, *, wait_s: float) -> None:
        super().__init__(detail)
        self.wait_s = wait_s
