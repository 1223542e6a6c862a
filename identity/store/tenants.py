"""The registry of tenants."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from identity.model.errors import AlreadyExists
from identity.model.ids import TenantId
from identity.model.tenant import Tenant
from identity.store.rows import RowMapper, page_after
from identity.store.tables import tenants
from identity.store.tx import Tx

TENANTS = RowMapper(tenants, Tenant, id=tenants.c.tenant_id)


def tenant_find(tx: Tx, slug: str) -> Tenant | None:
    """Return the tenant whose issuer ``slug`` names. A slug is public: it is in every URL."""
    return TENANTS.first(tx.execute(select(*TENANTS.columns).where(tenants.c.slug == slug)))


def tenant_get(tx: Tx) -> Tenant:
    """Return the tenant that the transaction is bound to."""
    return TENANTS.read(tx.execute(select(*TENANTS.columns).where(tenants.c.tenant_id == tx.tenant_id)).one())


def tenant_insert(tx: Tx, *, slug: str, display_name: str, now: datetime) -> Tenant:
    """Write the tenant that the transaction is bound to. Raises ``AlreadyExists``."""
    statement = insert(tenants).values(tenant_id=tx.tenant_id, slug=slug, display_name=display_name, created_at=now)
    try:
        return TENANTS.read(tx.execute(statement.returning(*TENANTS.columns)).one())
    except IntegrityError:
        raise AlreadyExists(f"a tenant named {slug} exists already", reason="slug_taken") from None


def tenant_update(tx: Tx, changes: Mapping[str, Any]) -> Tenant:
    """Write columns of the tenant that the transaction is bound to."""
    return TENANTS.update_locked(tx, **changes)


def tenant_ids(tx: Tx, *, limit: int, newest_first: bool = False) -> list[TenantId]:
    """Return the ids of the first tenants, or of the last ones, in the order of creation or against it."""
    order = tenants.c.tenant_id.desc() if newest_first else tenants.c.tenant_id
    return [TenantId(id_) for id_ in tx.execute(select(tenants.c.tenant_id).order_by(order).limit(limit)).scalars()]


def tenant_list(tx: Tx, *, after: UUID | None, limit: int) -> list[Tenant]:
    """Return at most ``limit`` tenants in the order of creation."""
    return TENANTS.all(tx.execute(page_after(select(*TENANTS.columns), tenants.c.tenant_id, after, limit)))
