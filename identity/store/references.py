"""References of a representation to other principals: groups, members and owners, as JSON arrays of a statement."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, func, literal, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by

from identity.model.errors import LimitExceeded
from identity.model.principal import Kind, Reference
from identity.store.tables import group_members, principal_owners, principals

MEMBERS_SHOWN_MAX = 20_000  # in one representation; a larger group is read with excludedAttributes=members
GROUPS_SHOWN_MAX = 1_000
OWNERS_SHOWN_MAX = 1_000

TENANT = bindparam("tenant", type_=principals.c.tenant_id.type)


def reference_columns(kinds: tuple[Kind, ...], with_members: bool) -> Sequence[ColumnElement[Any]]:
    """Return the columns of references: groups, members and owners."""
    members, owners, groups = group_members.alias(), principal_owners.alias(), group_members.alias()
    holders = (Kind.GROUP,) if with_members else ()
    members_of = _named(members, members.c.group_id, members.c.member_id, MEMBERS_SHOWN_MAX)
    owners_of = _named(owners, owners.c.principal_id, owners.c.owner_id, OWNERS_SHOWN_MAX)
    groups_of = _groups_of(groups, GROUPS_SHOWN_MAX)
    return (
        _where_kind(kinds, GROUPED, groups_of).label("groups"),
        _where_kind(kinds, holders, members_of).label("members"),
        _where_kind(kinds, OWNED, owners_of).label("owners"),
    )


def _groups_of(table: Any, limit: int) -> ColumnElement[Any]:
    """Return a JSON array of the living groups that the outer principal is in.

    The first memberships in the order of their index are looked at, and no others: any source may have added many.
    """
    first = (
        select(table.c.group_id)
        .where(table.c.tenant_id == TENANT, table.c.member_id == principals.c.id)
        .order_by(table.c.source_id, table.c.group_id)
        .limit(limit)
        .correlate(principals)
        .subquery()
    )
    other = principals.alias()
    group = (
        select(other.c.id, other.c.kind, func.coalesce(other.c.display_name, other.c.name).label("display"))
        .where(other.c.tenant_id == TENANT, other.c.id == first.c.group_id, other.c.deleted_at.is_(None))
        .limit(1)
        .lateral()
    )
    item = func.jsonb_build_array(group.c.id, group.c.kind, group.c.display)
    named = select(func.jsonb_agg(aggregate_order_by(item, group.c.id))).select_from(first.join(group, true()))
    return named.scalar_subquery()


GROUPED = (Kind.USER, Kind.AGENT, Kind.SERVICE_ACCOUNT)
OWNED = (Kind.AGENT, Kind.SERVICE_ACCOUNT)


def _where_kind(kinds: tuple[Kind, ...], having: tuple[Kind, ...], found: ColumnElement[Any]) -> ColumnElement[Any]:
    found_kinds = [kind for kind in kinds if kind in having]
    if len(found_kinds) == len(kinds):
        return found
    return case((principals.c.kind.in_(found_kinds), found)) if found_kinds else literal(None)


def _named(table: Any, ours: Any, theirs: Any, limit: int) -> ColumnElement[Any]:
    """Return a JSON array of the living principals that ``table`` names beside the outer principal."""
    other = principals.alias()
    # Each by its id, behind a limit: a plan that was made without statistics might rather compare all with all.
    living = (
        select(other.c.id, other.c.kind, func.coalesce(other.c.display_name, other.c.name).label("display"))
        .where(other.c.tenant_id == TENANT, other.c.id == theirs, other.c.deleted_at.is_(None))
        .limit(1)
        .lateral()
    )
    named = (
        select(*living.c)
        .select_from(table.join(living, true()))
        .where(table.c.tenant_id == TENANT, ours == principals.c.id)
        .order_by(theirs)
        .limit(limit + 1)
        .correlate(principals)
        .subquery()
    )
    item = func.jsonb_build_array(named.c.id, named.c.kind, named.c.display)
    return select(func.jsonb_agg(aggregate_order_by(item, named.c.id))).select_from(named).scalar_subquery()


def references(items: Sequence[Sequence[str]] | None, limit: int) -> tuple[Reference, ...]:
    """Return the references in a JSON array of id, kind and display name. Raises ``LimitExceeded``."""
    check_number(items, limit)
    return tuple(Reference(UUID(id_), Kind(kind), display) for id_, kind, display in items or ())


def check_number(items: Sequence[Any] | None, limit: int) -> None:
    """Refuse more than ``limit`` references. Raises ``LimitExceeded``."""
    if items is not None and len(items) > limit:
        raise LimitExceeded(
            f"the group has more than {limit} members; request it with excludedAttributes=members",
            reason="too_many_members",
        )
