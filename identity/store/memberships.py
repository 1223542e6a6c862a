"""Members and owners are rows: adding one reads and writes none of the others."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, all_, any_, delete, func, literal, select, text

from identity.model.errors import InvalidRequest, LimitExceeded
from identity.model.ids import NO_ID
from identity.model.nesting import MEMBERSHIPS_MAX, NESTED_MAX, NESTING_MAX
from identity.model.principal import Reference
from identity.store.locks import EVERY_MEMBERSHIP, membership_key
from identity.store.rows import row_reader
from identity.store.tables import IDS, group_members, principal_owners
from identity.store.tx import Tx

# Ids are compared with an array, not joined: a plan made when the table was small would go on reading it whole.

# One statement: which of the wanted ids are not there (or may not be named), which are in too many groups of this
# source already, whether groups would nest too deep, and the rows. A look at a member's memberships ends at the limit.
MEMBERS_ADD = text("""
WITH RECURSIVE wanted AS (SELECT unnest(CAST(:ids AS uuid[])) AS id),
     source (id) AS (
        SELECT coalesce(g.connection_id, CAST(:no_id AS uuid)) FROM principals g
         WHERE g.tenant_id = :tenant AND g.id = :group_id),
     found AS MATERIALIZED (
        SELECT p.id, p.kind = 'group' AS is_nested FROM principals p
         WHERE p.tenant_id = :tenant AND p.id = ANY (CAST(:ids AS uuid[]))
           AND p.deleted_at IS NULL AND p.id <> :group_id
           FOR KEY SHARE OF p),
     new AS MATERIALIZED (
        SELECT f.id, f.is_nested FROM found f WHERE (
            SELECT true FROM group_members m
             WHERE m.tenant_id = :tenant AND m.group_id = :group_id AND m.member_id = f.id) IS NULL),
     crowded AS MATERIALIZED (
        SELECT n.id FROM new n WHERE (
            SELECT true FROM group_members m WHERE m.tenant_id = :tenant AND m.member_id = n.id
               AND m.source_id = (SELECT id FROM source) OFFSET :memberships_max - 1 LIMIT 1)),
     above (id, depth) AS (
        SELECT CAST(:group_id AS uuid), 1 WHERE EXISTS (SELECT FROM new WHERE is_nested)
        UNION ALL
        SELECT m.group_id, a.depth + 1 FROM above a CROSS JOIN LATERAL (
            SELECT group_id FROM group_members WHERE tenant_id = :tenant AND member_id = a.id OFFSET 0) m
         WHERE a.depth <= :nesting_max) CYCLE id SET is_known USING path,
     below (id, depth) AS (
        SELECT id, 0 FROM new WHERE is_nested
        UNION ALL
        SELECT m.member_id, b.depth + 1 FROM below b CROSS JOIN LATERAL (
            SELECT member_id FROM group_members
             WHERE tenant_id = :tenant AND nested_in = b.id OFFSET 0) m
         WHERE b.depth <= :nesting_max) CYCLE id SET is_known USING path,
     some_above AS MATERIALIZED (SELECT id, depth FROM above WHERE NOT is_known LIMIT :nested_max + 1),
     some_below AS MATERIALIZED (SELECT id, depth FROM below WHERE NOT is_known LIMIT :nested_max + 1),
     nesting AS MATERIALIZED (
        SELECT coalesce((SELECT max(depth) FROM some_above) + (SELECT max(depth) FROM some_below), 0) > :nesting_max
                   AS is_too_deep,
               (SELECT count(*) FROM some_above) > :nested_max OR (SELECT count(*) FROM some_below) > :nested_max
                   AS is_too_many),
     written AS (INSERT INTO group_members (tenant_id, group_id, member_id, source_id, nested_in, added_at)
                 SELECT :tenant, :group_id, n.id, (SELECT id FROM source),
                        CASE WHEN n.is_nested THEN CAST(:group_id AS uuid) END, :now FROM new n
                     ON CONFLICT DO NOTHING RETURNING member_id)
SELECT (SELECT count(*) FROM written) AS written,
       ARRAY(SELECT id FROM wanted EXCEPT SELECT id FROM found) AS missing,
       (SELECT id FROM crowded LIMIT 1) AS crowded, is_too_deep, is_too_many
  FROM nesting
""")

# With a notice for the workers: new owners may be gone already, or be going this very moment.
OWNERS_REPLACE = text("""
WITH wanted AS (SELECT unnest(CAST(:ids AS uuid[])) AS id),
     found AS (SELECT p.id, p.kind, coalesce(p.display_name, p.name) AS display FROM principals p
                WHERE p.tenant_id = :tenant AND p.id = ANY (CAST(:ids AS uuid[]))
                  AND p.deleted_at IS NULL AND p.kind IN ('user', 'group')),
     gone AS (DELETE FROM principal_owners
               WHERE tenant_id = :tenant AND principal_id = :principal_id
                 AND owner_id <> ALL (CAST(:ids AS uuid[])) RETURNING 1),
     written AS (INSERT INTO principal_owners (tenant_id, principal_id, owner_id, since)
                 SELECT :tenant, :principal_id, id, :now FROM found ON CONFLICT DO NOTHING RETURNING 1),
     owned AS (UPDATE principals SET was_owned = true
                WHERE tenant_id = :tenant AND id = :principal_id AND NOT was_owned AND EXISTS (SELECT FROM found)),
     notice AS (INSERT INTO outbox (tenant_id, id, principal_id, kind)
              VALUES (:tenant, :notice_id, :principal_id, 'reconcile'))
SELECT w.id, f.kind, f.display AS display_name FROM wanted w LEFT JOIN found f USING (id) ORDER BY w.id
""")
REFERENCE = row_reader(Reference)


def _array(ids: Iterable[UUID]) -> BindParameter[list[UUID]]:
    return literal(list(ids), IDS)


def members_add(tx: Tx, group_id: UUID, member_ids: Iterable[UUID], *, now: datetime) -> int:
    """Add members that exist in this tenant; return how many were new.

    Raises ``InvalidRequest`` naming a missing one; ``LimitExceeded`` for a member that is in too many groups of this
    source, and for groups that would nest too deep or too many.
    """
    parameters = {
        "tenant": tx.tenant_id,
        "group_id": group_id,
        "ids": list(member_ids),
        "no_id": NO_ID,
        "memberships_max": MEMBERSHIPS_MAX,
        "nesting_max": NESTING_MAX,
        "nested_max": NESTED_MAX,
        "now": now,
    }
    row = tx.execute(MEMBERS_ADD, parameters).one()
    if row.missing:
        raise InvalidRequest(
            f"no resource has the id {min(map(str, row.missing))}", pointer="members", reason="unknown_member"
        )
    _check_limits(row)
    return int(row.written)


def _check_limits(row: Any) -> None:
    if row.crowded is not None:
        raise LimitExceeded(
            f"{row.crowded} is a member of {MEMBERSHIPS_MAX} groups of this connection already",
            reason="too_many_memberships",
        )
    if row.is_too_deep:
        raise LimitExceeded(f"groups may be nested at most {NESTING_MAX} deep", reason="nesting_too_deep")
    if row.is_too_many:
        raise LimitExceeded(
            f"a group may have at most {NESTED_MAX} groups below or above it", reason="too_many_nested_groups"
        )


def members_remove(tx: Tx, group_id: UUID, member_ids: Iterable[UUID] | None) -> int:
    """Remove the named members, or all when ``member_ids`` is None; return how many there were."""
    if member_ids is None:
        return members_keep_only(tx, group_id, frozenset())
    ids = list(member_ids)
    tx.ends.update(map(membership_key, ids))
    return _remove(tx, group_id, group_members.c.member_id == any_(_array(ids)))


def members_keep_only(tx: Tx, group_id: UUID, member_ids: frozenset[UUID]) -> int:
    """Remove every member that is not named; return how many there were."""
    tx.ends.update(EVERY_MEMBERSHIP)
    return _remove(tx, group_id, group_members.c.member_id != all_(_array(member_ids)))


def _remove(tx: Tx, group_id: UUID, which: ColumnElement[bool]) -> int:
    """Delete members; with a group, the memberships of all in it end."""
    gone = (
        delete(group_members)
        .where(group_members.c.tenant_id == tx.tenant_id, group_members.c.group_id == group_id, which)
        .returning(group_members.c.nested_in)
        .cte("gone")
    )
    counted = select(func.count().label("removed"), func.bool_or(gone.c.nested_in.is_not(None)).label("is_nested"))
    row = tx.execute(counted.select_from(gone)).one()
    if row.is_nested:
        tx.ends.update(EVERY_MEMBERSHIP)
    return int(row.removed)


def owners_replace(tx: Tx, principal_id: UUID, owner_ids: frozenset[UUID], *, now: datetime) -> tuple[Reference, ...]:
    """Write the owners of a principal, and enqueue its reconciliation.

    Raises ``InvalidRequest`` naming an owner that is not a user or group here.
    """
    if not owner_ids:
        tx.execute(
            delete(principal_owners).where(
                principal_owners.c.tenant_id == tx.tenant_id, principal_owners.c.principal_id == principal_id
            )
        )
        return ()
    rows = tx.execute(
        OWNERS_REPLACE,
        {
            "tenant": tx.tenant_id,
            "principal_id": principal_id,
            "ids": list(owner_ids),
            "now": now,
            "notice_id": tx.new_id(),
        },
    ).all()
    missing = [row.id for row in rows if row.kind is None]
    if missing:
        raise InvalidRequest(f"no user or group has the id {missing[0]}", pointer="owners", reason="unknown_owner")
    return tuple(map(REFERENCE, rows))


def is_owned(tx: Tx, principal_id: UUID) -> bool:
    """Return whether a principal has an owner, active or not."""
    statement = (
        select(literal(1))
        .where(principal_owners.c.tenant_id == tx.tenant_id, principal_owners.c.principal_id == principal_id)
        .limit(1)
    )
    return tx.execute(statement).first() is not None
