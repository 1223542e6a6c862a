"""Preconditions that several actions share."""

from typing import TypeVar

from identity.model.errors import NotFound, PreconditionFailed

Found = TypeVar("Found")


def require(found: Found | None, detail: str) -> Found:
    """Return a row that was looked up. Raises ``NotFound`` with ``detail`` where there is none."""
    if found is None:
        raise NotFound(detail)
    return found


def check_version(noun: str, version: int, expected: int | None) -> None:
    """Refuse an older version in If-Match (RFC 9110 §13.1.1); None is any. Raises ``PreconditionFailed``."""
    if expected not in (None, version):
        raise PreconditionFailed(f"the {noun} has changed since the version in If-Match")
