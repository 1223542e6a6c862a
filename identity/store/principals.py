"""Principals: one row each, with those that they are named beside."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Insert,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from identity.model.lifecycle import State
from identity.model.principal import (
    Kind,
    Principal,
    Profile,
    Resource,
    canonical_name,
    narrows_validity,
    shown_name,
)
from identity.store.locks import principal_key
from identity.store.references import (
    GROUPS_SHOWN_MAX,
    MEMBERS_SHOWN_MAX,
    OWNERS_SHOWN_MAX,
    TENANT,
    reference_columns,
    references,
)
from identity.store.rows import RowMapper
from identity.store.tables import principal_emails, principals
from identity.store.tables.schema import TEXTS
from identity.store.tx import Tx, uniqueness

KINDS_KEPT_MAX = 1_000  # statements that are kept put together; there are as many kinds as tenants define

PRINCIPALS = RowMapper(principals, Principal)
UNIQUE = {
    "uq_principals_name": ("name_taken", "the name is taken in this tenant"),
    "uq_principals_external_id": ("external_id_taken", "this connection has a resource with this externalId already"),
}
"""The reason and the message of a violation, by the index that found it."""


# Statements are put together once: that costs several times what their execution does.
ID = bindparam("principal", type_=principals.c.id.type)


@lru_cache(KINDS_KEPT_MAX)
def resources_of(kinds: tuple[Kind, ...], with_members: bool) -> Select[Any]:
    """Return what selects the columns of resources, with those named beside them."""
    return select(*PRINCIPALS.columns, *reference_columns(kinds, with_members))


def resource_from(row: Any) -> Resource:
    """Return the resource in a row of ``resources_of``."""
    return Resource(
        principal=PRINCIPALS.read(row),
        # Cut, not refused: nobody's deprovisioning may fail because he is in too many groups.
        groups=references((row.groups or ())[:GROUPS_SHOWN_MAX], GROUPS_SHOWN_MAX),
        members=references(row.members, MEMBERS_SHOWN_MAX),
        owners=references(row.owners, OWNERS_SHOWN_MAX),
    )


@lru_cache(KINDS_KEPT_MAX)
def is_of(kind: Kind) -> ColumnElement[bool]:
    """Return the condition that a principal is of a kind. One of the four is written out, not bound: only then can a
    prepared plan use the index over the names of all but groups.
    """
    if kind.is_custom:
        return principals.c.kind == literal(kind.value, Text)
    return principals.c.kind == literal_column(f"'{kind}'", principals.c.kind.type)


def _is_found(kind: Kind) -> ColumnElement[bool]:
    """Return the same for a principal that is looked up by its id. IS TRUE keeps the kind out of the look-up: without
    statistics the planner has taken an index over kinds, and read every user of the tenant.
    """
    return is_of(kind).is_(true())


@lru_cache(KINDS_KEPT_MAX)
def _living_resource(kind: Kind, with_members: bool) -> Select[Any]:
    return resources_of((kind,), with_members).where(
        principals.c.tenant_id == TENANT, principals.c.id == ID, principals.c.deleted_at.is_(None), _is_found(kind)
    )


def resource_get(tx: Tx, kind: Kind, principal_id: UUID, *, with_members: bool) -> Resource | None:
    """Return one living principal and those named beside it, in one statement."""
    statement = _living_resource(kind, with_members)
    row = tx.execute(statement, {"tenant": tx.tenant_id, "principal": principal_id}).first()
    return None if row is None else resource_from(row)


def resource_lock(tx: Tx, kind: Kind, principal_id: UUID) -> Resource | None:
    """Return one living principal without its members, and hold its row until the transaction ends.

    One statement where nothing beside the row is decided on. Owners are read in a second one, after the lock: the first
    would show those that were there before it waited.
    """
    if kind in (Kind.AGENT, Kind.SERVICE_ACCOUNT):
        held = principal_lock(tx, principal_id, kind=kind)
        return None if held is None else resource_get(tx, kind, principal_id, with_members=False)
    row = tx.execute(_locked_resource(kind), {"tenant": tx.tenant_id, "principal": principal_id}).first()
    return None if row is None else resource_from(row)


@lru_cache(KINDS_KEPT_MAX)
def _locked_resource(kind: Kind) -> Select[Any]:
    return _living_resource(kind, False).with_for_update(key_share=True, of=principals)


def principal_lock(tx: Tx, principal_id: UUID, *, kind: Kind | None = None) -> Principal | None:
    """Return one living principal and hold its row until the transaction ends."""
    return PRINCIPALS.first(tx.execute(_lock(kind), {"tenant": tx.tenant_id, "principal": principal_id}))


@lru_cache(KINDS_KEPT_MAX)
def _lock(kind: Kind | None) -> Select[Any]:
    statement = (
        select(*PRINCIPALS.columns)
        .where(principals.c.tenant_id == TENANT, principals.c.id == ID, principals.c.deleted_at.is_(None))
        .with_for_update(key_share=True)
    )
    return statement if kind is None else statement.where(_is_found(kind))


def _columns_of(kind: Kind, profile: Profile, principal_id: UUID) -> dict[str, Any]:
    display = profile.display_name
    return {
        "name": profile.name or str(principal_id),
        "name_key": _name_key(kind, profile, principal_id),
        "external_id": profile.external_id,
        "display_name": display,
        "display_name_key": display.casefold() if display is not None else None,
        "document": dict(profile.document),
        "valid_from": profile.valid_from,
        "valid_until": profile.valid_until,
    }


def _name_key(kind: Kind, profile: Profile, principal_id: UUID) -> str:
    if kind.is_custom:
        return str(principal_id)  # nobody is found by it; which values are unique, the tenant's schema says
    return shown_name(profile.name) if kind is Kind.GROUP else canonical_name(profile.name)


def _addresses() -> Insert:
    """Return what writes the addresses in two arrays, in their order."""
    keys, types = bindparam("email_keys", type_=TEXTS), bindparam("email_types", type_=TEXTS)
    email = func.unnest(keys, types).table_valued("value_key", "type", with_ordinality="place", name="email")
    email = email.render_derived()
    columns = ("tenant_id", "principal_id", "position", "value_key", "type")
    return insert(principal_emails).from_select(
        columns, select(TENANT, ID, cast(email.c.place - 1, Integer), email.c.value_key, email.c.type)
    )


def _emails_of(profile: Profile) -> dict[str, Any]:
    return {
        "email_keys": [email.value.casefold() for email in profile.emails],
        "email_types": [email.type for email in profile.emails],
    }


EMAILS_INSERT = _addresses()
INSERT = insert(principals).returning(*PRINCIPALS.columns).add_cte(_addresses().cte("addresses"))


def principal_insert(
    tx: Tx, kind: Kind, profile: Profile, *, state: State, connection_id: UUID | None, now: datetime
) -> Principal:
    """Write a new principal, and the addresses by which a filter finds it. Raises ``AlreadyExists``."""
    principal_id = tx.new_id()
    values = {
        "tenant_id": tx.tenant_id,
        "tenant": tx.tenant_id,
        "id": principal_id,
        "principal": principal_id,
        "kind": kind,
        "connection_id": connection_id,
        "state": state,
        "created_at": now,
        "updated_at": now,
    }
    with uniqueness(UNIQUE):
        row = tx.execute(INSERT, values | _columns_of(kind, profile, principal_id) | _emails_of(profile)).one()
        return PRINCIPALS.read(row)


UPDATE = (
    update(principals)
    .where(principals.c.tenant_id == TENANT, principals.c.id == ID)
    .values(version=principals.c.version + 1)
    .returning(*PRINCIPALS.columns)
)


def principal_update(
    tx: Tx,
    principal: Principal,
    profile: Profile | None,
    *,
    state: State | None = None,
    is_held: bool | None = None,
    cut: bool = False,
    end: bool = False,
    now: datetime,
) -> Principal:
    """Write a new version of a locked principal: with its whole profile and its state, where they change.

    A cut raises its epoch, which kills every token and task that rests on it, and a narrower validity window is one. An
    end raises its end counter, which ends every delegation and client. Raises ``AlreadyExists``.
    """
    values: dict[str, Any] = {"updated_at": now} | ({} if state is None else {"state": state, "is_held": is_held})
    statement, document = UPDATE, principal.document if profile is None else profile.document
    if profile is not None:
        values |= _columns_of(principal.kind, profile, principal.id)
        if narrows_validity(principal, profile.valid_from, profile.valid_until, now):
            tx.ends.add(principal_key(principal.id))
            cut = True
    if cut:
        statement = statement.values(epoch=principals.c.epoch + 1)
    if end:
        statement = statement.values(end_count=principals.c.end_count + 1, ended_at=now)
    if state is State.DELETED:
        values["deleted_at"] = now
    has_active = "active" in document if principal.kind.is_custom else principal.kind is not Kind.GROUP
    if state is State.ACTIVE and has_active:
        values["document"] = {**document, "active": True}
    return _update(tx, principal.id, values, statement)


def principal_protect(tx: Tx, principal: Principal, *, is_protected: bool) -> Principal:
    """Write whether sources may change a locked principal. They see no difference, so its version stays."""
    return _update(tx, principal.id, {"is_protected": is_protected}, UPDATE.values(version=principals.c.version))


def _update(
    tx: Tx, principal_id: UUID, values: Mapping[str, Any], statement: ReturningUpdate[Any] = UPDATE
) -> Principal:
    with uniqueness(UNIQUE):
        found = tx.execute(statement, {"tenant": tx.tenant_id, "principal": principal_id, **values}).one()
        return PRINCIPALS.read(found)


EMAILS_DELETE = delete(principal_emails).where(
    principal_emails.c.tenant_id == TENANT, principal_emails.c.principal_id == ID
)


def emails_replace(tx: Tx, principal_id: UUID, profile: Profile) -> None:
    """Write the addresses anew."""
    names = {"tenant": tx.tenant_id, "principal": principal_id}
    tx.execute(EMAILS_DELETE, names)
    if profile.emails:
        tx.execute(EMAILS_INSERT, names | _emails_of(profile))


def principal_find(tx: Tx, principal_id: UUID) -> Principal | None:
    """Return one principal of whatever kind, deleted or not."""
    return PRINCIPALS.get(tx, principals.c.id == principal_id)


def principal_get(tx: Tx, principal_id: UUID) -> Principal | None:
    """Return one living principal of whatever kind."""
    return PRINCIPALS.get(tx, principals.c.id == principal_id, principals.c.deleted_at.is_(None))
