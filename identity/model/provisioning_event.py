"""What a Security Event Token tells of a resource (RFC 8417, RFC 9967): written with the change, delivered later.

In the form of a *notice*: which attributes changed, never their values. Who receives it asks for what it may see.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from identity.model.principal import Kind, Principal
from identity.model.resource_type import BUILT_IN, OUR_ENDPOINTS

KEPT_DAYS = 7
"""For how long a receiver may be away before it has to read the directory anew."""

TYP = "secevent+jwt"
"""The ``typ`` of a Security Event Token (RFC 8417 §2.3): no other token of ours is taken for one."""

PREFIX = "urn:ietf:params:scim:event:"


class EventUri(StrEnum):
    """The events that are written. ``feed`` events tell of subscriptions, and come with those."""

    CREATE = PREFIX + "prov:create:notice"
    PATCH = PREFIX + "prov:patch:notice"
    PUT = PREFIX + "prov:put:notice"
    DELETE = PREFIX + "prov:delete"
    ACTIVATE = PREFIX + "prov:activate"
    DEACTIVATE = PREFIX + "prov:deactivate"
    ASYNC_RESPONSE = PREFIX + "misc:asyncresp"


ENDPOINTS = {BUILT_IN[name]: endpoint for name, endpoint in OUR_ENDPOINTS.items()}


@dataclass(frozen=True, slots=True)
class ProvisioningEvent:
    """One event about the resource at ``path`` below the SCIM base URL. ``txn`` is None for that of the caller.

    Of a tenant's own ``kind``, ``path`` is what follows the endpoint of its resource type.
    """

    uri: EventUri
    path: str
    payload: Mapping[str, Any]
    external_id: str | None = None
    txn: str | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class RecordedProvisioningEvent:
    """An event as read back; its id is the ``jti``. ``payloads`` is keyed by event URI."""

    id: UUID
    at: datetime
    connection_id: UUID | None
    txn: str
    sub_id: Mapping[str, Any]
    payloads: Mapping[str, Any]


def provisioning_event_for(uri: EventUri, principal: Principal, attributes: Iterable[str]) -> ProvisioningEvent:
    """Return the event of a create, patch or put that set ``attributes`` (RFC 9967 §2.4.1 to §2.4.3)."""
    payload = {"attributes": sorted(attributes), "version": principal.entity_tag}
    return _about(principal, uri, payload)


def state_told(uri: EventUri, principal: Principal) -> ProvisioningEvent:
    """Return the event of a delete, activate or deactivate (RFC 9967 §2.4.4 to §2.4.6), which says nothing more."""
    return _about(principal, uri, {})


def _about(principal: Principal, uri: EventUri, payload: Mapping[str, Any]) -> ProvisioningEvent:
    kind, path = principal.kind, f"{ENDPOINTS.get(principal.kind, '')}/{principal.id}"
    return ProvisioningEvent(uri, path, payload, principal.external_id, kind=kind if kind.is_custom else None)


def subject_of(event: ProvisioningEvent) -> dict[str, str]:
    """Return the ``sub_id`` of an event (RFC 9967 §2.1)."""
    subject = {"format": "scim", "uri": event.path}
    return subject if event.external_id is None else {**subject, "externalId": event.external_id}


def claims_of(recorded: RecordedProvisioningEvent, issuer: str) -> dict[str, Any]:
    """Return the claims of the token that tells of an event, but for ``aud``: whoever delivers knows to whom."""
    return {
        "iss": issuer,
        "iat": int(recorded.at.timestamp()),
        "jti": str(recorded.id),
        "txn": recorded.txn,
        "sub_id": dict(recorded.sub_id),
        "events": dict(recorded.payloads),
    }
