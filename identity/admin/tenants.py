"""Tenants."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from identity.actions import tenants as actions
from identity.admin.endpoints import get, listing, operation
from identity.admin.requests import Change, Name, RequestModel, TaskSeconds
from identity.admin.responses import Items, ResponseModel
from identity.edge.call import Call
from identity.edge.runtime import runtime, transaction_of_new_tenant
from identity.model import tenant
from identity.model.tenant import TASK_LIFETIME_MAX_S, issuer_of

TENANTS = "/tenants"
TENANT = "/tenants/{tenant}"


class NewTenant(RequestModel):
    """A tenant. Its slug is in every URL and in its issuer, and never changes."""

    slug: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    display_name: Name


class TenantChange(Change):
    """What is left out stays as it is. Limits in seconds: of the life of a delegated token, and of a task."""

    display_name: Name | None = None
    task_lifetime_max_s: Annotated[int, Field(ge=1, le=TASK_LIFETIME_MAX_S)] | None = None
    max_task_s: TaskSeconds | None = None


class Tenant(ResponseModel):
    """A tenant and its issuer."""

    id: UUID
    slug: str
    display_name: str
    state: str
    issuer: Annotated[
        str, BeforeValidator(lambda slug: issuer_of(runtime().external_url, slug)), Field(validation_alias="slug")
    ]
    task_lifetime_max_s: int
    max_task_s: int
    created_at: datetime


class TenantList(Items[Tenant]):
    """Tenants in the order of creation."""


@operation("POST", TENANTS, body=NewTenant, response=Tenant, status=201)
def create_tenant(call: Call, requested: NewTenant) -> tenant.Tenant:
    """Create a tenant, with its issuer and its first signing key."""
    with transaction_of_new_tenant(call.tx) as tx:
        return actions.create_tenant(
            tx,
            slug=requested.slug,
            display_name=requested.display_name,
            encryption=runtime().encryption,
            caller=call.caller,
            now=call.now,
        )


listing(TENANTS, actions.list_tenants, "List tenants", TenantList)
get(TENANT, actions.get_tenant, "Read one tenant", Tenant, name="get_tenant")


@operation("PATCH", TENANT, body=TenantChange, response=Tenant)
def change_tenant(call: Call, requested: TenantChange) -> tenant.Tenant:
    """Change the name of a tenant, or what it allows of tokens and tasks from now on."""
    return actions.change_tenant(call.tx, requested.changes, caller=call.caller, now=call.now)
