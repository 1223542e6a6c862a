"""What a source may do: create, read, amend and delete principals."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import transition
from identity.model.access import Caller, check_reach
from identity.model.difference import differences
from identity.model.errors import InvalidRequest, NotFound, PreconditionFailed
from identity.model.event import Event
from identity.model.lifecycle import State, Transition
from identity.model.listing import Listing
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Kind, Principal, Profile, Reference, Resource, narrows_validity
from identity.model.provisioning_event import EventUri, provisioning_event_for
from identity.store import Tx
from identity.store.definitions import keys_write, type_hold
from identity.store.events import event_insert
from identity.store.lifecycle import ownership_notice_insert
from identity.store.listing import ResultPage, resource_list
from identity.store.locks import principal_key
from identity.store.memberships import members_add, members_keep_only, members_remove, owners_replace
from identity.store.principals import (
    emails_replace,
    principal_insert,
    principal_lock,
    principal_touch,
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
) -> Resource:
    """Write a new principal with its owners or members. Its id is ours and is never used again.

    Raises ``AlreadyExists``, ``InvalidRequest``; ``NotFound`` when its type was forgotten meanwhile.
    """
    check_window(profile)
    if kind.is_custom:
        type_hold(tx, kind)
    state = State.ACTIVE if profile.active else State.DEPROVISIONED
    principal = principal_insert(tx, kind, profile, state=state, connection_id=caller.connection_id, now=now)
    if profile.keys:
        keys_write(tx, principal, profile.keys)
    owners = _write_first_owners(tx, principal, profile, now=now)
    if members:
        members_add(tx, principal.id, members, now=now)
    event_insert(
        tx,
        Event(
            type=f"{kind}.created",
            subject_id=principal.id,
            detail={"state": state, "members": len(members)},
            provisioning=provisioning_event_for(
                EventUri.CREATE, principal, _attributes_of_new(principal, owners, members)
            ),
        ),
        caller=caller,
        now=now,
    )
    return Resource(principal, owners=owners)


def get_principal(tx: Tx, kind: Kind, principal_id: UUID, *, caller: Caller, with_members: bool = True) -> Resource:
    """Return one living principal. Raises ``NotFound``; ``LimitExceeded`` for a group too large to show whole."""
    del caller  # every authenticated caller of a tenant may read its directory
    resource = resource_get(tx, kind, principal_id, with_members=with_members)
    if resource is None:
        raise NotFound("no resource with this id")
    return resource


def find_principals(tx: Tx, listing: Listing, *, caller: Caller) -> ResultPage:
    """Return one page of the living principals that are asked for."""
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
) -> Resource:
    """Change a principal to what ``amend`` makes of it. When nothing changes, nothing is written.

    ``amend`` sees a group without its members and answers with a change to them. Setting ``active`` to false is
    deprovisioning, to true reactivation. Raises ``NotFound``, ``NotAllowed``, ``PreconditionFailed``,
    ``AlreadyExists``, ``InvalidRequest``.
    """
    current = resource_lock(tx, kind, principal_id)
    if current is None:
        raise NotFound("no resource with this id")
    check_change(current.principal, expected_version, caller)
    amendment = amend(current)
    check_window(amendment.profile)
    amended = _write_profile(tx, current, amendment.profile, now=now)
    amended, suspended = _write_owners(tx, amended, amendment.profile, now=now)
    amended = _write_members(tx, amended, amendment.members, now=now)
    principal, moved = _write_state(tx, amended.principal, current.principal, amendment.profile, now=now)
    is_amended = amended.principal.version != current.principal.version
    amended = replace(amended, principal=principal)
    told = (_told(kind, current, amended, amendment),) if is_amended else ()
    if events := (*told, *suspended, *moved):
        event_insert(tx, *events, caller=caller, now=now)
    return amended


def delete_principal(
    tx: Tx, kind: Kind, principal_id: UUID, *, expected_version: int | None, caller: Caller, now: datetime
) -> None:
    """Delete for ever: from now on it is not there, its name is free, its id is never used again, its history stays.

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
    """Refuse to change what is another's, and what has changed since it was looked at.

    Raises ``NotAllowed``, ``PreconditionFailed``.
    """
    check_reach(caller, principal)
    if expected_version is not None and expected_version != principal.version:
        raise PreconditionFailed("the resource has changed since the version in If-Match")


def _write_profile(tx: Tx, current: Resource, profile: Profile, *, now: datetime) -> Resource:
    principal = current.principal
    if profile.document == principal.document:
        return current
    is_cut = narrows_validity(principal, profile.valid_from, profile.valid_until, now)
    if is_cut:
        tx.ends.add(principal_key(principal.id))
    updated = principal_update(tx, principal, profile, is_cut=is_cut, now=now)
    if profile.document.get("emails") != principal.document.get("emails"):
        emails_replace(tx, principal.id, profile)
    if profile.keys is not None:
        keys_write(tx, principal, profile.keys)
    return replace(current, principal=updated)


def _write_first_owners(tx: Tx, principal: Principal, profile: Profile, *, now: datetime) -> tuple[Reference, ...]:
    return owners_replace(tx, principal.id, profile.owners, now=now) if profile.owners else ()


def _write_owners(tx: Tx, current: Resource, profile: Profile, *, now: datetime) -> tuple[Resource, tuple[Event, ...]]:
    if profile.owners == frozenset(owner.id for owner in current.owners):
        return current, ()
    principal = current.principal
    events: tuple[Event, ...] = ()
    owners = owners_replace(tx, principal.id, profile.owners, now=now)
    principal = principal_touch(tx, principal.id, now=now)
    if not owners and principal.state is State.ACTIVE:
        abandoned = transition(tx, principal, Transition.SUSPEND_UNOWNED, reason="no_owner", now=now)
        principal, events = abandoned.principal, abandoned.events
    return replace(current, principal=principal, owners=owners), events


def _write_members(tx: Tx, current: Resource, change: MemberChange | None, *, now: datetime) -> Resource:
    if change is None or change.is_empty:
        return current
    group_id = current.principal.id
    removed = members_keep_only(tx, group_id, change.add) if change.replace else 0
    if change.remove:
        removed += members_remove(tx, group_id, change.remove)
    added = members_add(tx, group_id, change.add, now=now) if change.add else 0
    if removed:
        ownership_notice_insert(tx, group_id)
    if not (removed or added):
        return current
    return replace(current, principal=principal_touch(tx, group_id, now=now))


def _write_state(
    tx: Tx, principal: Principal, before: Principal, profile: Profile, *, now: datetime
) -> tuple[Principal, tuple[Event, ...]]:
    """Follow the source when it changes its mind; a source that repeats itself does not undo an administrator."""
    if profile.active == before.document.get("active", True):
        return principal, ()
    verb, reason = (
        (Transition.SOURCE_REACTIVATE, "active_true") if profile.active else (Transition.DEPROVISION, "active_false")
    )
    changed = transition(tx, principal, verb, reason=reason, now=now)
    return changed.principal, changed.events


def _told(kind: Kind, before: Resource, after: Resource, amendment: Amendment) -> Event:
    """Return which attributes changed, never their values: the trail outlives an erased person."""
    was, document = before.principal.document, amendment.profile.document
    changed = sorted(key for key in was.keys() | document.keys() if was.get(key) != document.get(key))
    detail: dict[str, object] = {"changed": changed}
    if amendment.members is not None:
        detail["members_added"] = sorted(map(str, amendment.members.add))[:100]
        detail["members_removed"] = sorted(map(str, amendment.members.remove))[:100]
        detail["members_replaced"] = amendment.members.replace
    if before.owners != after.owners:
        detail["owners"] = [str(owner.id) for owner in after.owners]
    return Event(
        type=f"{kind}.amended",
        subject_id=before.principal.id,
        detail=detail,
        provisioning=provisioning_event_for(
            EventUri.PUT if amendment.is_whole else EventUri.PATCH,
            after.principal,
            _attributes_changed(before, after, amendment),
        ),
    )


def _attributes_of_new(principal: Principal, owners: tuple[Reference, ...], members: frozenset[UUID]) -> Iterator[str]:
    yield "id"
    yield from (name for name, _, _ in differences({}, principal.document))
    yield from (name for name, links in (("owners", owners), ("members", members)) if links)


def _attributes_changed(before: Resource, after: Resource, amendment: Amendment) -> Iterator[str]:
    yield from (name for name, _, _ in differences(before.principal.document, amendment.profile.document))
    if before.owners != after.owners:
        yield "owners"
    if amendment.members is not None and not amendment.members.is_empty:
        yield "members"
