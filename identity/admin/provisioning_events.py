"""Provisioning events of a tenant (RFC 9967)."""

from typing import Any
from uuid import UUID

from pydantic import ValidationInfo, model_validator

from identity.actions.provisioning_events import list_provisioning_events
from identity.admin.endpoints import listing
from identity.admin.paging import LOG
from identity.admin.requests import Page
from identity.admin.responses import Items, JsonObject, ResponseModel
from identity.edge.call import Call
from identity.edge.runtime import runtime
from identity.model.provisioning_event import RecordedProvisioningEvent, claims_of
from identity.model.tenant import issuer_of


class ProvisioningEventPage(Page):
    """Provisioning events after the one whose ``jti`` is ``after``."""


class ProvisioningEvent(ResponseModel):
    """The claims of a Security Event Token (RFC 8417, RFC 9967), but for ``aud``: names of attributes, no values."""

    iss: str
    iat: int
    jti: UUID
    txn: str
    sub_id: JsonObject
    events: JsonObject

    @model_validator(mode="before")
    @classmethod
    def read_claims(cls, recorded: RecordedProvisioningEvent, info: ValidationInfo[Call]) -> dict[str, Any]:
        """Return the claims of a recorded event, issued by the tenant."""
        return claims_of(recorded, issuer_of(runtime().external_url, info.context.slug))


class ProvisioningEventList(Items[ProvisioningEvent]):
    """Changes of the directory for other systems, oldest first."""


listing(
    "/tenants/{tenant}/provisioning-events",
    list_provisioning_events,
    "Read the claims of the tokens that report the directory's changes, after one of them",
    ProvisioningEventList,
    query=ProvisioningEventPage,
    cursor=LOG,
)
