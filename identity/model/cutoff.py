"""Cut-offs: an instant up to which everything issued for a key is dead."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CutoffKind(StrEnum):
    """The kind of thing that ``key`` names. A subject is one of an upstream issuer, by ``upstream_key_of``."""

    TENANT = "tenant"
    PRINCIPAL = "principal"
    CLIENT = "client"
    TASK = "task"
    TOKEN = "jti"  # noqa: S105
    CONNECTION = "connection"
    DELEGATION = "delegation"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class ListedCutoff:
    """A cut-off in the list of an administrator."""

    kind: str
    key: str
    not_before: datetime
    reason: str | None
