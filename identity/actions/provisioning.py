"""What a source may do: create, read, amend and delete principals."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import apply_state
from identity.model.access import Caller, check_provenance
from identity.model.errors import Malformed, NotThere, Stale
from identity.model.event import Event
from identity.model.lifecycle import State, Verb
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Kind, Principal, Profile, Reference, Resource
from identity.model.query import Condition
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.groups import members_add, members_keep_only, members_remove, owners_replace
from identity.store.lifecycle import owners_news_insert
from identity.store.principals import (
    Found,
    emails_insert,
    emails_replace,
    principal_insert,
    principal_lock,
    principal_touch,
    principal_update,
    resource_find,
    resource_get,
)
from identity.store.query import compile_condition

__all__ = [
    "Found",
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

    Raises ``Taken``, ``Malformed``.
    """
    check_window(profile)
    state = State.ACTIVE if profile.active else State.DEPROVISIONED
    principal = principal_insert(tx, kind, profile, state=state, connection_id=caller.connection_id, now=now)
    emails_insert(tx, principal.id, profile)
    owners = _write_first_owners(tx, principal, profile, now=now)
    if members:
        members_add(tx, principal.id, members, now=now)
    event_insert(
        tx,
        Event(type=f"{kind}.created", subject_id=principal.id, detail={"state": state, "members": len(members)}),
        caller=caller,
        now=now,
    )
    return Resource(principal, owners=owners)


def get_principal(tx: Tx, kind: Kind, principal_id: UUID, *, caller: Caller, with_members: bool = True) -> Resource:
    """Return one living principal. Raises ``NotThere``; ``OverLimit`` for a group too large to show whole."""
    del caller  # every authenticated caller of a tenant may read its directory
    resource = resource_get(tx, kind, principal_id, with_members=with_members)
    if resource is None:
        raise NotThere("there is no such resource")
    return resource


def find_principals(
    tx: Tx,
    kind: Kind,
    condition: Condition | None,
    *,
    offset: int,
    limit: int,
    caller: Caller,
    with_members: bool = True,
) -> Found:
    """Return one page of the living principals that satisfy ``condition``, oldest first."""
    del caller
    where = None if condition is None else compile_condition(condition, kind=kind, tenant_id=tx.tenant_id)
    return resource_find(tx, kind, where, offset=offset, limit=limit, with_members=with_members)


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
    deprovisioning, to true reactivation. Raises ``NotThere``, ``NotAllowed``, ``Stale``, ``Taken``, ``Malformed``.
    """
    locked = _lock_for_change(tx, kind, principal_id, expected_version, caller)
    current = resource_get(tx, kind, principal_id, with_members=False)
    if current is None:
        raise AssertionError("a locked principal is there")
    amendment = amend(current)
    check_window(amendment.profile)
    amended = _write_profile(tx, current, amendment.profile, now=now)
    amended = _write_owners(tx, amended, amendment.profile, caller=caller, now=now)
    amended = _write_members(tx, amended, amendment.members, now=now)
    if amended.principal.version != locked.version:
        _tell(tx, kind, current, amended, amendment, caller=caller, now=now)
    principal = _write_state(tx, amended.principal, current.principal, amendment.profile, caller=caller, now=now)
    return replace(amended, principal=principal)


def delete_principal(
    tx: Tx, kind: Kind, principal_id: UUID, *, expected_version: int | None, caller: Caller, now: datetime
) -> None:
    """Delete for ever: from now on it is not there, its name is free, its id is never used again, its history stays.

    Raises ``NotThere``, ``NotAllowed``, ``Stale``.
    """
    principal = _lock_for_change(tx, kind, principal_id, expected_version, caller)
    apply_state(tx, principal, Verb.DELETE, reason="deleted_by_source", caller=caller, now=now)


def check_window(profile: Profile) -> None:
    """Refuse a validity window that ends before it begins. Raises ``Malformed``."""
    if profile.valid_from and profile.valid_until and profile.valid_until <= profile.valid_from:
        raise Malformed("validUntil must be later than validFrom", pointer="validUntil")


def _lock_for_change(tx: Tx, kind: Kind, principal_id: UUID, expected_version: int | None, caller: Caller) -> Principal:
    principal = principal_lock(tx, principal_id, kind=kind)
    if principal is None:
        raise NotThere("there is no such resource")
    check_provenance(caller, principal)
    if expected_version is not None and expected_version != principal.version:
        raise Stale("the resource has changed since the version in If-Match")
    return principal


def _write_profile(tx: Tx, current: Resource, profile: Profile, *, now: datetime) -> Resource:
    principal = current.principal
    if profile.document == principal.document:
        return current
    updated = principal_update(tx, principal, profile, now=now)
    if profile.document.get("emails") != principal.document.get("emails"):
        emails_replace(tx, principal.id, profile)
    return replace(current, principal=updated)


def _write_first_owners(tx: Tx, principal: Principal, profile: Profile, *, now: datetime) -> tuple[Reference, ...]:
    if not profile.owners:
        return ()
    owners = owners_replace(tx, principal.id, profile.owners, now=now)
    owners_news_insert(tx, principal.id, now=now)  # they may be gone already, or be going this very moment
    return owners


def _write_owners(tx: Tx, current: Resource, profile: Profile, *, caller: Caller, now: datetime) -> Resource:
    had = frozenset(owner.id for owner in current.owners)
    if profile.owners == had:
        return current
    principal = current.principal
    owners = owners_replace(tx, principal.id, profile.owners, now=now)
    principal = principal_touch(tx, principal.id, now=now)
    if not owners and principal.state is State.ACTIVE:
        principal = apply_state(tx, principal, Verb.SUSPEND, reason="no_owner", caller=caller, now=now)
    else:
        owners_news_insert(tx, principal.id, now=now)
    return replace(current, principal=principal, owners=owners)


def _write_members(tx: Tx, current: Resource, change: MemberChange | None, *, now: datetime) -> Resource:
    if change is None or change.is_empty:
        return current
    group_id = current.principal.id
    removed = members_keep_only(tx, group_id, change.add) if change.replace else 0
    if change.remove:
        removed += members_remove(tx, group_id, change.remove)
    added = members_add(tx, group_id, change.add, now=now) if change.add else 0
    if removed:
        owners_news_insert(tx, group_id, now=now)
    if not (removed or added):
        return current
    return replace(current, principal=principal_touch(tx, group_id, now=now))


def _write_state(
    tx: Tx, principal: Principal, before: Principal, profile: Profile, *, caller: Caller, now: datetime
) -> Principal:
    """Follow the source when it changes its mind; a source that repeats itself does not undo an administrator."""
    if profile.active == before.document.get("active", True):
        return principal
    if not profile.active:
        return apply_state(tx, principal, Verb.DEPROVISION, reason="active_false", caller=caller, now=now)
    if principal.state is State.DEPROVISIONED:
        return apply_state(tx, principal, Verb.REACTIVATE, reason="active_true", caller=caller, now=now)
    return principal


def _tell(
    tx: Tx,
    kind: Kind,
    before: Resource,
    after: Resource,
    amendment: Amendment,
    *,
    caller: Caller,
    now: datetime,
) -> None:
    """Record which attributes changed, never their values: the trail outlives an erased person."""
    was, document = before.principal.document, after.principal.document
    changed = sorted(key for key in was.keys() | document.keys() if was.get(key) != document.get(key))
    detail: dict[str, object] = {"changed": changed}
    if amendment.members is not None:
        detail["members_added"] = sorted(map(str, amendment.members.add))[:100]
        detail["members_removed"] = sorted(map(str, amendment.members.remove))[:100]
        detail["members_replaced"] = amendment.members.replace
    if before.owners != after.owners:
        detail["owners"] = [str(owner.id) for owner in after.owners]
    event_insert(
        tx,
        Event(type=f"{kind}.amended", subject_id=before.principal.id, detail=detail),
        caller=caller,
        now=now,
    )
