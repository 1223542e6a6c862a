"""Provisioning events: the content of Security Event Tokens about resources (RFC 8417, RFC 9967).

An event is written with the change and delivered later. It has the form of a *notice*, which names the changed
attributes and not their values: a receiver reads those that it may see.
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
"""After a longer absence a receiver has to read the whole directory."""

TYP = "secevent+jwt"
"""The ``typ`` of a Security Event Token (RFC 8417 §2.3), which no other token of ours has."""

PREFIX = "urn:ietf:params:scim:event:"


class EventUri(StrEnum):
    """The URIs of the events that are written. There are no ``feed`` events, for there are no subscriptions."""

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
    """One event about the resource at ``path`` below the SCIM base URL. ``txn`` is None for the caller's own.

    Of a tenant's own ``kind``, ``path`` is the part behind the endpoint of its resource type.
    """

    uri: EventUri
    path: str
    payload: Mapping[str, Any]
    external_id: str | None = None
    txn: str | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class RecordedProvisioningEvent:
    """An event as it is read back; its id is the ``jti``. ``payloads`` is keyed by event URI."""

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


def state_event_for(uri: EventUri, principal: Principal) -> ProvisioningEvent:
    """Return the event of a delete, activate or deactivate (RFC 9967 §2.4.4 to §2.4.6); its payload is empty."""
    return _about(principal, uri, {})


def _about(principal: Principal, uri: EventUri, payload: Mapping[str, Any]) -> ProvisioningEvent:
    kind, path = principal.kind, f"{ENDPOINTS.get(principal.kind, '')}/{principal.id}"
    return ProvisioningEvent(uri, path, payload, principal.external_id, kind=kind if kind.is_custom else None)


def subject_of(event: ProvisioningEvent) -> dict[str, str]:
    """Return the ``sub_id`` of an event (RFC 9967 §2.1)."""
    subject = {"format": "scim", "uri": event.path}
    return subject if event.external_id is None else {**subject, "externalId": event.external_id}


def claims_of(recorded: RecordedProvisioningEvent, issuer: str) -> dict[str, Any]:
    """Return the claims of the event's token, without ``aud``, which the sender adds for each receiver."""
    return {
        "iss": issuer,
        "iat": int(recorded.at.timestamp()),
        "jti": str(recorded.id),
        "txn": recorded.txn,
        "sub_id": dict(recorded.sub_id),
        "events": dict(recorded.payloads),
    }
