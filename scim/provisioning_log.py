"""The provisioning log, as this edge keeps it: what came, what changed, what was refused and why.

Of a request that changes something the row is part of that change's transaction; of one that is refused it is written
with the refusal's event. So the log is never wrong about the outcome. Reads are kept only when they are refused.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from flask import request
from werkzeug.exceptions import HTTPException

from identity.actions.provisioning_log import record_request
from identity.edge.authentication import anonymous
from identity.edge.call import Call
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.access import Caller
from identity.model.errors import Refusal
from identity.model.ids import PLATFORM, TenantId, parse_id
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Resource
from identity.model.provisioning_log import (
    DETAIL_CHARACTERS_MAX,
    Change,
    Request,
    RequestOutcome,
    changes_between,
    text_of,
)
from scim import call as scim_calls
from scim.errors import render_refusal
from scim.log_redaction import kept_body, kept_name, kept_path, kept_query
from scim.schema.catalogue import Catalogue, catalogue_of
from scim.schema.resource_types import ResourceType

MEMBERS_TOLD_MAX = 100
NAMES = ("username", "agentusername", "displayname", "name")
Amend = Callable[[Resource], Amendment]

log = structlog.get_logger("scim")


@dataclass(slots=True)
class Entry:
    """What is known of a request so far. ``status`` is None until it is done.

    ``sent`` is the body or the query as it came. What of it is kept is decided at the end, when it is known of which
    type the resource is; where it is of none, all of the tenant's are asked.
    """

    method: str
    path: str
    resource_type: str | None
    principal_id: UUID | None
    sent: Mapping[str, Any] | None = None
    is_query: bool = False
    type: ResourceType | None = None
    catalogue: Catalogue | None = None
    name: str | None = None
    changes: tuple[Change, ...] = ()
    status: int | None = None
    started_s: float = field(default_factory=time.monotonic)

    def done(self) -> Request:
        """Return the entry of what happened."""
        if self.status is None:
            raise AssertionError("only what is done has a status")
        return self._request(RequestOutcome.DONE, self.status, changes=self.changes)

    def refused(self, refusal: Refusal) -> Request:
        """Return the entry of what did not, and why."""
        body, status = render_refusal(refusal)
        return self._request(
            RequestOutcome.REFUSED,
            status,
            scim_type=body.get("scimType"),
            reason=refusal.reason,
            detail=text_of(str(body["detail"]), DETAIL_CHARACTERS_MAX),
        )

    def failed(self) -> Request:
        """Return the entry of our own fault."""
        return self._request(RequestOutcome.FAILED, 500, detail="internal error; it was logged")

    def _request(
        self,
        outcome: RequestOutcome,
        status: int,
        *,
        changes: tuple[Change, ...] = (),
        scim_type: str | None = None,
        reason: str | None = None,
        detail: str | None = None,
    ) -> Request:
        return Request(
            method=self.method,
            path=self.path,
            resource_type=self.resource_type,
            principal_id=self.principal_id,
            name=None if self.name is None else text_of(self.name),
            body=self._kept(),
            changes=changes,
            outcome=outcome,
            status=status,
            scim_type=scim_type,
            reason=reason,
            detail=detail,
            duration_ms=round((time.monotonic() - self.started_s) * 1000),
        )

    def _kept(self) -> Any:
        if self.sent is None:
            return None
        return kept_query(self.sent, self.types) if self.is_query else kept_body(self.sent, self.types)

    @property
    def types(self) -> list[ResourceType]:
        """The resource types by which it is decided what a schema knows."""
        if self.type is not None:
            return [self.type]
        return [] if self.catalogue is None else list(self.catalogue.types.values())


_ENTRY: ContextVar[Entry | None] = ContextVar("entry", default=None)


# --- requests --------------------------------------------------------------------------------------------------


@contextmanager
def scim_call(slug: str) -> Iterator[Call]:
    """``scim_calls.scim_call``, with an entry in the log of the connection that calls."""
    entry = _entry_of_request()

    def refused(tx: Tx, refusal: Refusal, caller: Caller, now: datetime) -> None:
        write_refusal(entry, tx, refusal, caller, now)

    caller: Caller = anonymous()
    tenant_id: TenantId = PLATFORM
    try:
        with noting(entry), scim_calls.scim_call(slug, refused) as call:
            caller, tenant_id, entry.catalogue = call.caller, call.tx.tenant_id, catalogue_of(call)
            yield call
            if entry.status is not None:
                write_done(entry, call)
    except (Refusal, HTTPException):
        raise
    except Exception:
        write_fault(entry, partial(open_transaction, tenant_id), caller, runtime().clock())
        raise


def _entry_of_request() -> Entry:
    names = request.view_args or {}
    id_ = names.get("resource_id")
    shape = ["{id}" if part == id_ else part for part in request.path.split("/")[5:]]  # after /t/{slug}/scim/v2
    return Entry(
        method=request.method,
        path=kept_path("/" + "/".join(shape)),
        resource_type=None,
        principal_id=None if id_ is None else parse_id(id_),
        sent=request.args.to_dict() if request.args and request.method == "GET" else None,
        is_query=True,
    )


# --- operations of a Bulk --------------------------------------------------------------------------------------


def entry_of_operation(
    method: str, type_: ResourceType | None, resource_id: str | None, body: Any, *, prefix: str
) -> Entry:
    """Return the entry of one operation of a Bulk, as if it had come alone; ``prefix`` tells that it did not."""
    shape = ("" if type_ is None else type_.endpoint) + ("" if resource_id is None else "/{id}")
    entry = Entry(
        method=text_of(method, 16),
        path=prefix + shape,
        resource_type=None if type_ is None else type_.name,
        principal_id=parse_id(resource_id or ""),
        type=type_,
    )
    if isinstance(body, Mapping):
        with noting(entry):
            note_body(body)
    return entry


@contextmanager
def noting(entry: Entry) -> Iterator[None]:
    """Let what the verbs of the block tell be of this entry."""
    token = _ENTRY.set(entry)
    try:
        yield
    finally:
        _ENTRY.reset(token)


def write_done(entry: Entry, call: Call) -> None:
    """Write the entry in the transaction of what it tells."""
    record_request(call.tx, entry.done(), caller=call.caller, now=call.now)


def write_refusal(entry: Entry, tx: Tx, refusal: Refusal, caller: Caller, now: datetime) -> None:
    """Write the entry beside the event of the refusal; of a caller that is no connection nothing is kept."""
    if caller.connection_id is not None:
        record_request(tx, entry.refused(refusal), caller=caller, now=now)


def write_fault(entry: Entry, begin: Callable[[], AbstractContextManager[Tx]], caller: Caller, now: datetime) -> None:
    """Write that it was our fault, in a transaction of its own; that this fails too is no further news."""
    if caller.connection_id is None:
        return
    try:
        with begin() as tx:
            record_request(tx, entry.failed(), caller=caller, now=now)
    except Exception:  # the fault itself is the news, and is on its way to the edge
        log.exception("fault_not_recorded")


# --- what the verbs tell ---------------------------------------------------------------------------------------


def note_type(type_: ResourceType) -> None:
    """Remember of which type the resource is that is asked for."""
    if (entry := _ENTRY.get()) is not None:
        entry.resource_type, entry.type = type_.name, type_


def note_body(body: Mapping[str, Any]) -> None:
    """Remember what was sent."""
    if (entry := _ENTRY.get()) is not None:
        entry.sent, entry.is_query = body, False
        entry.name = kept_name(body, entry.types, NAMES)


def note_created(resource: Resource, members: frozenset[UUID]) -> None:
    """Remember what came to be."""
    if (entry := _ENTRY.get()) is not None:
        entry.principal_id, entry.name = resource.principal.id, resource.principal.name
        entry.changes = (
            *changes_between({}, resource.principal.document),
            *_owners_between(frozenset(), frozenset(owner.id for owner in resource.owners)),
            *_members_changed(MemberChange(add=members)),
        )
        entry.status = 201


def noted(amend: Amend) -> Amend:
    """Return ``amend``, which also remembers what it changes."""

    def amend_and_note(current: Resource) -> Amendment:
        entry = _ENTRY.get()
        if entry is not None:
            entry.principal_id, entry.name = current.principal.id, current.principal.name  # also of what is refused
        amendment = amend(current)
        if entry is not None:
            entry.changes = (
                *entry.changes,
                *changes_between(current.principal.document, amendment.profile.document),
                *_owners_between(frozenset(owner.id for owner in current.owners), amendment.profile.owners),
                *_members_changed(amendment.members),
            )
            entry.status = entry.status or 200
        return amendment

    return amend_and_note


def note_status(status: int) -> None:
    """Remember with what it is answered: what has been done, or was there to do."""
    if (entry := _ENTRY.get()) is not None:
        entry.status = status


def _owners_between(old: frozenset[UUID], new: frozenset[UUID]) -> Iterator[Change]:
    if old != new:
        yield Change("owners", _shown(old) or None, _shown(new) or None)


def _members_changed(change: MemberChange | None) -> Iterator[Change]:
    """Members are deltas here too: who was in a group is not read."""
    if change is None or change.is_empty:
        return
    told = {"replaced": change.replace} if change.replace else {}
    yield Change("members", None, {**told, "added": _shown(change.add), "removed": _shown(change.remove)})


def _shown(ids: frozenset[UUID]) -> list[str]:
    told = sorted(map(str, ids))
    return (
        told
        if len(told) <= MEMBERS_TOLD_MAX
        else [*told[:MEMBERS_TOLD_MAX], f"... {len(told) - MEMBERS_TOLD_MAX} more"]
    )
