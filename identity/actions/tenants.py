"""Tenants: create, read and change."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.preconditions import require
from identity.actions.signing_keys import create_signing_key
from identity.model.access import Caller
from identity.model.event import Event
from identity.model.tenant import Tenant, check_slug
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.tenants import tenant_find, tenant_get, tenant_insert, tenant_list, tenant_update


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


def change_tenant(tx: Tx, changes: Mapping[str, Any], *, caller: Caller, now: datetime) -> Tenant:
    """Change the ``display_name``, ``task_lifetime_max_s`` or ``max_task_s`` of the transaction's tenant.

    Limits apply to tokens and tasks from then on; earlier ones stay as they are.
    """
    before = tenant_get(tx)
    if replace(before, **changes) == before:
        return before
    after = tenant_update(tx, changes)
    changed = {name: value for name, value in changes.items() if value != getattr(before, name)}
    event_insert(tx, Event(type="tenant.changed", detail={"slug": after.slug, **changed}), caller=caller, now=now)
    return after


def resolve_tenant(tx: Tx, slug: str) -> Tenant:
    """Return the tenant that a URL names. Raises ``NotFound``."""
    return require(tenant_find(tx, slug), "there is no such tenant")


list_tenants = tenant_list
get_tenant = tenant_get
