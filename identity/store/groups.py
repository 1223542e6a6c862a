"""Members and owners are rows: adding one reads and writes none of the others."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import BindParameter, all_, any_, delete, literal, text

from identity.model.errors import Malformed
from identity.model.principal import Kind, Reference
from identity.store.tables import IDS, group_members, principal_owners
from identity.store.tx import Tx

# Ids are compared with an array, not joined: a plan made when the table was small would go on reading it whole.

# One statement: which of the wanted ids are not there (or may not be named), and the rows of those that are.
MEMBERS_ADD = text("""
WITH wanted AS (SELECT unnest(CAST(:ids AS uuid[])) AS id),
     found AS (SELECT p.id FROM principals p
                WHERE p.tenant_id = :tenant AND p.id = ANY (CAST(:ids AS uuid[]))
                  AND p.deleted_at IS NULL AND p.id <> :group_id
                  FOR KEY SHARE OF p),
     written AS (INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
                 SELECT :tenant, :group_id, id, :now FROM found
                     ON CONFLICT DO NOTHING RETURNING member_id)
SELECT (SELECT count(*) FROM written) AS written,
       ARRAY(SELECT id FROM wanted EXCEPT SELECT id FROM found) AS missing
""")

# With the news of it: new owners may be gone already, or be going this very moment.
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
     news AS (INSERT INTO outbox (tenant_id, id, principal_id, kind, created_at, available_at)
              VALUES (:tenant, :news_id, :principal_id, 'reconcile', :now, :now))
SELECT w.id, f.kind, f.display FROM wanted w LEFT JOIN found f USING (id) ORDER BY w.id
""")


def _array(ids: Iterable[UUID]) -> BindParameter[list[UUID]]:
    return literal(list(ids), IDS)


def members_add(tx: Tx, group_id: UUID, member_ids: Iterable[UUID], *, now: datetime) -> int:
    """Add members that exist in this tenant; return how many were new. Raises ``Malformed`` naming a missing one."""
    row = tx.execute(
        MEMBERS_ADD, {"tenant": tx.tenant_id, "group_id": group_id, "ids": list(member_ids), "now": now}
    ).one()
    if row.missing:
        raise Malformed(f"there is no member {min(map(str, row.missing))}", pointer="members", reason="unknown_member")
    return int(row.written)


def members_remove(tx: Tx, group_id: UUID, member_ids: Iterable[UUID] | None) -> int:
    """Remove the named members, or all when ``member_ids`` is None; return how many there were."""
    statement = delete(group_members).where(
        group_members.c.tenant_id == tx.tenant_id, group_members.c.group_id == group_id
    )
    if member_ids is not None:
        statement = statement.where(group_members.c.member_id == any_(_array(member_ids)))
    return tx.execute(statement).rowcount


def members_keep_only(tx: Tx, group_id: UUID, member_ids: frozenset[UUID]) -> int:
    """Remove every member that is not named; return how many there were."""
    statement = delete(group_members).where(
        group_members.c.tenant_id == tx.tenant_id,
        group_members.c.group_id == group_id,
        group_members.c.member_id != all_(_array(member_ids)),
    )
    return tx.execute(statement).rowcount


def owners_replace(tx: Tx, principal_id: UUID, owner_ids: frozenset[UUID], *, now: datetime) -> tuple[Reference, ...]:
    """Write who answers for a principal, and tell the workers to look at it.

    Raises ``Malformed`` naming an owner that is not a user or group here.
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
            "news_id": tx.new_id(),
        },
    ).all()
    missing = [row.id for row in rows if row.kind is None]
    if missing:
        raise Malformed(f"there is no user or group {missing[0]}", pointer="owners", reason="unknown_owner")
    return tuple(Reference(row.id, Kind(row.kind), row.display) for row in rows)
