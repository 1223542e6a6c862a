"""Principals: read, and change their state or protection."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from identity.actions import principals as actions
from identity.admin.endpoints import get, listing, post
from identity.admin.requests import PAGE_MAX, Name, Page, PrincipalKind, Reason
from identity.admin.responses import Flattened, Items, ResponseModel
from identity.model.lifecycle import Credentials, State
from identity.model.selection import PrincipalSelection

PRINCIPALS = "/tenants/{tenant}/principals"
PRINCIPAL = f"{PRINCIPALS}/{{principal_id}}"


class Suspension(Reason):
    """The reason, for the audit log; and whether clients and delegations are kept for ``reactivate``, or end for good
    (``revoke``), also those that an earlier suspension kept.
    """

    credentials: Credentials = Credentials.KEEP


def _split(text: Any) -> Any:
    """Return the parts of a list that commas separate."""
    return text.split(",") if isinstance(text, str) else text


Ids = Annotated[tuple[UUID, ...], BeforeValidator(_split), Field(max_length=PAGE_MAX)]


class PrincipalPage(Page):
    """Principals of one kind, of one name (compared without case), in one state, those that no source may change, or
    those whose ids are given, separated by commas.
    """

    kind: PrincipalKind | None = None
    name: Name | None = None
    state: Literal[State.ACTIVE, State.SUSPENDED, State.DEPROVISIONED] | None = None
    is_protected: Literal["true"] | None = None
    ids: Annotated[Ids, WithJsonSchema({"type": "string"})] | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """The selection, as one value."""
        is_protected = self.is_protected is not None
        return {"wanted": PrincipalSelection(self.kind, self.name, self.state, is_protected, self.ids)}


class Reference(ResponseModel):
    """A principal named from another."""

    id: UUID
    kind: PrincipalKind
    display_name: str | None


class Principal(ResponseModel):
    """A user, group, agent or service account."""

    id: UUID
    kind: PrincipalKind
    state: State
    is_held: bool
    is_protected: bool
    name: str
    display_name: str | None
    external_id: str | None
    connection_id: UUID | None
    valid_from: datetime | None
    valid_until: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class PrincipalInFull(Flattened, Principal):
    """With those who answer for it and the groups that it is in."""

    INNER = "principal"

    owners: list[Reference]
    groups: list[Reference]


class Restored(ResponseModel):
    """The clients that live again, 50 at most, and how many delegations do, without those whose other party is not
    active. At most 1,000 are looked at; ``has_more_delegations`` when there may be more.
    """

    clients: list[str]
    delegations: int
    has_more_delegations: bool


class ReactivatedPrincipal(Flattened, Principal):
    """With the clients and delegations that live again with it. Tokens and tasks stay ended."""

    INNER = "principal"

    restored: Restored


class PrincipalList(Items[Principal]):
    """Living principals in the order of creation."""


TRANSITIONS: tuple[tuple[Callable[..., Any], type[Principal], type[Reason], str], ...] = (
    (
        actions.suspend,
        Principal,
        Suspension,
        "Stop a principal at once, and everything that rests on it, until an administrator reactivates it",
    ),
    (
        actions.reactivate,
        ReactivatedPrincipal,
        Reason,
        "Let a principal begin again, with the clients and delegations that its suspension kept, and no old token",
    ),
    (actions.deprovision, Principal, Reason, "End a principal's access, and everything that rests on it"),
    (actions.protect, Principal, Reason, "Let no source change a principal; only administrators do"),
    (actions.unprotect, Principal, Reason, "Give a principal back to its source"),
)
"""Each is a path below the principal, named like its action."""

listing(
    PRINCIPALS,
    actions.list_principals,
    "List the living principals, of one kind, name or state, or those that no source may change",
    PrincipalList,
    query=PrincipalPage,
)
get(PRINCIPAL, actions.get_principal, "Read one principal, with its owners and groups", PrincipalInFull)
for transition, response, body, summary in TRANSITIONS:
    verb = transition.__name__
    post(f"{PRINCIPAL}/{verb}", transition, summary, response, body=body, name=f"{verb}_principal")
