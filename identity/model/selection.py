"""Selections of rows for lists, and their order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from identity.model.ids import first_id_at
from identity.model.lifecycle import State
from identity.model.principal import Kind

ID_BEFORE_ROW = timedelta(minutes=5)
"""How far the time in a row's id and the time in its columns may be apart.

A process reads the clock, and makes the id later; a wait or a correction of the clock may be between both.
"""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


class Order(StrEnum):
    """Oldest first, or newest first."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` on and before ``until``; None is without end."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def first_id(self) -> UUID | None:
        """No row of the span has a lower id."""
        if self.since is None:
            return None
        return first_id_at(min(max(self.since, EPOCH + ID_BEFORE_ROW), LATEST) - ID_BEFORE_ROW)

    @property
    def end_id(self) -> UUID | None:
        """Every row of the span has a lower id."""
        if self.until is None:
            return None
        return first_id_at(max(min(self.until, LATEST), EPOCH) + ID_BEFORE_ROW)


EVER = Span()


@dataclass(frozen=True, slots=True)
class PrincipalSelection:
    """Living principals: of a kind, a name (without case) or a state, protected ones only, or those with these ids."""

    kind: Kind | None = None
    name: str | None = None
    state: State | None = None
    is_protected: bool = False
    ids: tuple[UUID, ...] | None = None
