"""The registry of tenants."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from identity.model.errors import AlreadyExists
from identity.model.ids import TenantId
from identity.model.tenant import Tenant
from identity.store.tables import tenants
from identity.store.tx import Tx

COLUMNS = (
    tenants.c.tenant_id,
    tenants.c.slug,
    tenants.c.display_name,
    tenants.c.state,
    tenants.c.task_lifetime_max_s,
    tenants.c.max_task_s,
    tenants.c.created_at,
)


def _tenant(row: Any) -> Tenant:
    return Tenant(
        TenantId(row.tenant_id),
        row.slug,
        row.display_name,
        row.state,
        row.task_lifetime_max_s,
        row.max_task_s,
        row.created_at,
    )


def tenant_find(tx: Tx, slug: str) -> Tenant | None:
    """Return the tenant whose issuer ``slug`` names. A slug is public: it is in every URL."""
    row = tx.execute(select(*COLUMNS).where(tenants.c.slug == slug)).first()
    return None if row is None else _tenant(row)


def tenant_get(tx: Tx) -> Tenant:
    """Return the tenant that the transaction is bound to."""
    return _tenant(tx.execute(select(*COLUMNS).where(tenants.c.tenant_id == tx.tenant_id)).one())


def tenant_insert(tx: Tx, *, slug: str, display_name: str, now: datetime) -> Tenant:
    """Write the tenant that the transaction is bound to. Raises ``AlreadyExists``."""
    statement = insert(tenants).values(tenant_id=tx.tenant_id, slug=slug, display_name=display_name, created_at=now)
    try:
        return _tenant(tx.execute(statement.returning(*COLUMNS)).one())
    except IntegrityError:
        raise AlreadyExists(f"a tenant named {slug} exists already", reason="slug_taken") from None


def tenant_update(tx: Tx, changes: Mapping[str, Any]) -> Tenant:
    """Write columns of the tenant that the transaction is bound to."""
    statement = update(tenants).where(tenants.c.tenant_id == tx.tenant_id).values(dict(changes)).returning(*COLUMNS)
    return _tenant(tx.execute(statement).one())


def tenant_ids(tx: Tx, *, limit: int, newest_first: bool = False) -> list[TenantId]:
    """Return the ids of the first tenants, or of the last ones, in the order of creation or against it."""
    order = tenants.c.tenant_id.desc() if newest_first else tenants.c.tenant_id
    return [TenantId(id_) for id_ in tx.execute(select(tenants.c.tenant_id).order_by(order).limit(limit)).scalars()]


def tenant_list(tx: Tx, *, after: UUID | None, limit: int) -> list[Tenant]:
    """Return at most ``limit`` tenants in the order of creation."""
    statement = select(*COLUMNS).order_by(tenants.c.tenant_id).limit(limit)
    if after is not None:
        statement = statement.where(tenants.c.tenant_id > after)
    return [_tenant(row) for row in tx.execute(statement)]
