"""Create, read, amend and delete principals: the operations of a provisioning source.

Each change appends its events with ``event_insert``. In a transaction that holds events (``Tx.pending_events``) the
statement of the provisioning log's entry writes them, or else the end of the transaction, before COMMIT.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import Changed, transition
from identity.model.access import Caller, check_reach
from identity.model.difference import differences
from identity.model.errors import InvalidRequest, NotFound, PreconditionFailed
from identity.model.event import Event
from identity.model.lifecycle import State, Transition
from identity.model.listing import Listing
from identity.model.membership import MemberChange
from identity.model.principal import (
    Amended,
    Amendment,
    Kind,
    Principal,
    Profile,
    Reference,
    Resource,
)
from identity.model.provisioning_event import EventUri, provisioning_event_for
from identity.store import Tx
from identity.store.definitions import keys_write, type_hold
from identity.store.events import event_insert
from identity.store.lifecycle import ownership_notice_insert
from identity.store.listing import ResultPage, resource_list
from identity.store.memberships import members_add, members_keep_only, members_remove, owners_replace
from identity.store.principals import (
    emails_replace,
    principal_insert,
    principal_lock,
    principal_update,
    resource_get,
    resource_lock,
)

__all__ = [
    "ResultPage",
    "amend_principal",
    "create_principal",
    "delete_principal",
    "find_principals",
    "get_principal",
]


def create_principal(
    tx: Tx,
    kind: Kind,
    profile: Profile,
    *,
    members: frozenset[UUID] = frozenset(),
    caller: Caller,
    now: datetime,
) -> Amended:
    """Write a new principal with its owners or members. Its id is ours and is never used again.

    Raises ``AlreadyExists``, ``InvalidRequest``; ``NotFound`` when its type was deleted meanwhile.
    """
    check_window(profile)
    if kind.is_custom:
        type_hold(tx, kind)
    state = State.ACTIVE if profile.active else State.DEPROVISIONED
    principal = principal_insert(tx, kind, profile, state=state, connection_id=caller.connection_id, now=now)
    if profile.keys:
        keys_write(tx, principal, profile.keys)
    owners = owners_replace(tx, principal.id, profile.owners, now=now) if profile.owners else ()
    if members:
        members_add(tx, principal.id, members, now=now)
    found = tuple(differences({}, principal.document))
    created = Amended(None, Resource(principal, owners=owners), found, MemberChange(add=members))
    event = Event(
        type=f"{kind}.created",
        subject_id=principal.id,
        detail={"state": state, "members": len(members)},
        provisioning=provisioning_event_for(EventUri.CREATE, principal, ["id", *created.paths]),
    )
    event_insert(tx, event, caller=caller, now=now)
    return created


def get_principal(tx: Tx, kind: Kind, principal_id: UUID, *, caller: Caller, with_members: bool = True) -> Resource:
    """Return one living principal. Raises ``NotFound``; ``LimitExceeded`` for a group too large to show whole."""
    del caller  # every authenticated caller of a tenant may read its directory
    resource = resource_get(tx, kind, principal_id, with_members=with_members)
    if resource is None:
        raise NotFound("no resource with this id")
    return resource


def find_principals(tx: Tx, listing: Listing, *, caller: Caller) -> ResultPage:
    """Return one page of the living principals of a list."""
    del caller  # every authenticated caller of a tenant may read its directory
    return resource_list(tx, listing)


def amend_principal(
    tx: Tx,
    kind: Kind,
    principal_id: UUID,
    amend: Callable[[Resource], Amendment],
    *,
    expected_version: int | None,
    caller: Caller,
    now: datetime,
) -> Amended:
    """Change a principal by one UPDATE, which gives it one new version. Without a change nothing is written.

    ``amend`` takes the locked resource, a group without its members, and returns the new profile. ``active`` that turns
    false deprovisions, true reactivates. The events are appended, see above. Raises ``NotFound``, ``NotAllowed``,
    ``PreconditionFailed``, ``AlreadyExists``, ``InvalidRequest``.
    """
    current = resource_lock(tx, kind, principal_id)
    if current is None:
        raise NotFound("no resource with this id")
    check_change(current.principal, expected_version, caller)
    amendment = amend(current)
    check_window(amendment.profile)
    owners = _write_owners(tx, current, amendment.profile, now=now)
    has_new_members = _write_members(tx, principal_id, amendment.members, now=now)
    has_new_document = amendment.profile.document != current.principal.document
    if not (has_new_document or has_new_members or owners != current.owners):
        return Amended(current, current, members=amendment.members)
    changed = _write_principal(tx, current, owners, amendment.profile if has_new_document else None, now=now)
    found = tuple(differences(current.principal.document, amendment.profile.document))
    after = replace(current, principal=changed.principal, owners=owners)
    amended = Amended(current, after, found, amendment.members)
    event_insert(tx, _event_of(amended, is_whole=amendment.is_whole), *changed.events, caller=caller, now=now)
    return amended


def delete_principal(
    tx: Tx, kind: Kind, principal_id: UUID, *, expected_version: int | None, caller: Caller, now: datetime
) -> None:
    """Delete a principal for ever. Its name becomes free, its id is never used again, its history stays.

    Raises ``NotFound``, ``NotAllowed``, ``PreconditionFailed``.
    """
    principal = principal_lock(tx, principal_id, kind=kind)
    if principal is None:
        raise NotFound("no resource with this id")
    check_change(principal, expected_version, caller)
    deleted = transition(tx, principal, Transition.DELETE, reason="deleted_by_source", now=now)
    event_insert(tx, *deleted.events, caller=caller, now=now)


def check_window(profile: Profile) -> None:
    """Refuse a validity window that ends before it begins. Raises ``InvalidRequest``."""
    if profile.valid_from and profile.valid_until and profile.valid_until <= profile.valid_from:
        raise InvalidRequest("validUntil must be later than validFrom", pointer="validUntil")


def check_change(principal: Principal, expected_version: int | None, caller: Caller) -> None:
    """Refuse a change of another connection's principal, and of a version that the client has not seen.

    Raises ``NotAllowed``, ``PreconditionFailed``.
    """
    check_reach(caller, principal)
    if expected_version is not None and expected_version != principal.version:
        raise PreconditionFailed("the resource has changed since the version in If-Match")


def _write_owners(tx: Tx, current: Resource, profile: Profile, *, now: datetime) -> tuple[Reference, ...]:
    if profile.owners == current.owner_ids:
        return current.owners
    return owners_replace(tx, current.principal.id, profile.owners, now=now)


def _write_members(tx: Tx, group_id: UUID, change: MemberChange | None, *, now: datetime) -> bool:
    """Return whether the group has other members than before."""
    if change is None or change.is_empty:
        return False
    removed = members_keep_only(tx, group_id, change.add) if change.replace else 0
    if change.remove:
        removed += members_remove(tx, group_id, change.remove)
    added = members_add(tx, group_id, change.add, now=now) if change.add else 0
    if removed:
        ownership_notice_insert(tx, group_id)
    return bool(removed or added)


def _write_principal(
    tx: Tx, current: Resource, owners: tuple[Reference, ...], profile: Profile | None, *, now: datetime
) -> Changed:
    """Write a new version of a locked principal, with its profile where that differs and its state where it changes.

    Its owners are written already: an agent without one is not active.
    """
    principal, verb = current.principal, _transition_of(current, owners, profile)
    changed = Changed(principal)
    if verb is not None:
        changed = transition(tx, principal, verb, reason=REASONS[verb], now=now, profile=profile)
    if not changed.events:
        changed = Changed(principal_update(tx, principal, profile, now=now))
    if profile is not None and profile.document.get("emails") != principal.document.get("emails"):
        emails_replace(tx, principal.id, profile)
    if profile is not None and profile.keys is not None:
        keys_write(tx, principal, profile.keys)
    return changed


REASONS = {
    Transition.SOURCE_REACTIVATE: "active_true",
    Transition.DEPROVISION: "active_false",
    Transition.SUSPEND_UNOWNED: "no_owner",
}


def _transition_of(current: Resource, owners: tuple[Reference, ...], profile: Profile | None) -> Transition | None:
    """Return the change of state, if any. A source that repeats ``active`` does not undo an administrator's verb."""
    if profile is not None and profile.active != current.principal.document.get("active", True):
        return Transition.SOURCE_REACTIVATE if profile.active else Transition.DEPROVISION
    has_lost_owners = current.owners and not owners
    return Transition.SUSPEND_UNOWNED if has_lost_owners and current.principal.state is State.ACTIVE else None


def _event_of(amended: Amended, *, is_whole: bool) -> Event:
    """Return the event, which names attributes and never their values: it outlives an erased person."""
    principal, change = amended.principal, amended.members
    detail: dict[str, object] = {"changed": sorted({each.attribute for each in amended.differences})}
    if change is not None:
        detail["members_added"] = sorted(map(str, change.add))[:100]
        detail["members_removed"] = sorted(map(str, change.remove))[:100]
        detail["members_replaced"] = change.replace
    if amended.old_owners != amended.after.owner_ids:
        detail["owners"] = [str(owner.id) for owner in amended.after.owners]
    uri = EventUri.PUT if is_whole else EventUri.PATCH
    notice = provisioning_event_for(uri, principal, amended.paths)
    return Event(type=f"{principal.kind}.amended", subject_id=principal.id, detail=detail, provisioning=notice)
