"""One authenticated request of a tenant, with its transaction."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from identity.actions.issuance import Issuer
from identity.actions.tenants import resolve_tenant
from identity.edge.runtime import open_transaction, runtime
from identity.model.access import Caller
from identity.model.errors import (
    NotFound,
)
from identity.model.ids import PLATFORM
from identity.model.tenant import SLUG, Tenant, issuer_of
from identity.store import Tx


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request, its transaction open."""

    tx: Tx
    caller: Caller
    now: datetime
    tenant: Tenant | None = None

    @property
    def slug(self) -> str:
        """The slug of the tenant. A request to the platform has none: ``LookupError``."""
        if self.tenant is None:
            raise LookupError("a request to the platform has no tenant")
        return self.tenant.slug


def tenant_of(slug: str) -> Tenant:
    """Return the tenant that a URL names. Raises ``NotFound``.

    A slug names the same tenant for ever, so what was found once is kept; what was not found is not.
    """
    found = runtime().tenants.get(slug)
    if found is None:
        if not SLUG.fullmatch(slug):
            raise NotFound("there is no such tenant")
        with open_transaction(PLATFORM) as tx:
            found = resolve_tenant(tx, slug)
        runtime().tenants.put(slug, found)
    structlog.contextvars.bind_contextvars(tenant=slug)
    return found


def issuer_for(tenant: Tenant) -> Issuer:
    """Return what signs for a tenant, and what its tokens are verified with."""
    return Issuer(issuer_of(runtime().external_url, tenant.slug), tenant.slug, runtime().keys)
