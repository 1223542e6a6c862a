"""Tenants: create, read and change."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import create_signing_key
from identity.model.access import Caller
from identity.model.errors import NotFound
from identity.model.event import Event
from identity.model.tenant import Tenant, check_slug
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.tenants import tenant_find, tenant_insert, tenant_list, tenant_update


def create_tenant(
    tx: Tx, *, slug: str, display_name: str, encryption: EnvelopeEncryption, caller: Caller, now: datetime
) -> Tenant:
    """Create the tenant that ``tx`` is bound to, with its first signing key.

    Raises ``InvalidRequest``, ``AlreadyExists``.
    """
    tenant = tenant_insert(tx, slug=check_slug(slug), display_name=display_name, now=now)
    create_signing_key(tx, encryption=encryption, activates_at=now, caller=caller, now=now)
    event_insert(tx, Event(type="tenant.created", detail={"slug": slug}), caller=caller, now=now)
    return tenant


def change_tenant(tx: Tx, before: Tenant, changes: Mapping[str, Any], *, caller: Caller, now: datetime) -> Tenant:
    """Give a tenant another ``display_name``, ``task_lifetime_max_s`` or ``max_task_s``.

    Limits are held against what is issued from then on; what was issued stays as it is.
    """
    if replace(before, **changes) == before:
        return before
    after = tenant_update(tx, changes)
    told = {name: value for name, value in changes.items() if value != getattr(before, name)}
    event_insert(tx, Event(type="tenant.changed", detail={"slug": after.slug, **told}), caller=caller, now=now)
    return after


def resolve_tenant(tx: Tx, slug: str) -> Tenant:
    """Return the tenant that a URL names. Raises ``NotFound``."""
    tenant = tenant_find(tx, slug)
    if tenant is None:
        raise NotFound("there is no such tenant")
    return tenant


def list_tenants(tx: Tx, *, after: UUID | None, limit: int) -> list[Tenant]:
    """Return one page of tenants."""
    return tenant_list(tx, after=after, limit=limit)
