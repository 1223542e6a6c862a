"""Signing keys of a tenant."""

from datetime import datetime
from typing import Any

from identity.actions import signing_keys as actions
from identity.admin.endpoints import operation
from identity.admin.requests import Nothing
from identity.admin.responses import JsonObject, ResponseModel, members_of
from identity.edge.call import Call
from identity.edge.runtime import runtime
from identity.model.errors import Unavailable
from identity.model.signing_key import signing_key

KEYS = "/tenants/{tenant}/keys"


class Key(ResponseModel):
    """The public half of a signing key."""

    kid: str
    alg: str
    state: str
    is_signing: bool
    public_jwk: JsonObject
    created_at: datetime
    activates_at: datetime
    verify_until: datetime | None


class Keys(ResponseModel):
    """All keys that still verify, oldest first."""

    items: list[Key]
    next_cursor: None = None


@operation("GET", KEYS, response=Keys)
def list_keys(call: Call) -> list[dict[str, Any]]:
    """List the signing keys that still verify."""
    keys = actions.list_signing_keys(call.tx, now=call.now)
    try:
        signing = signing_key(keys, call.now).kid
    except Unavailable:
        signing = None
    return [members_of(key) | {"is_signing": key.kid == signing} for key in keys]


@operation("POST", f"{KEYS}/rotate", body=Nothing, response=Key)
def rotate_keys(call: Call) -> dict[str, Any]:
    """Publish a new signing key; it signs once every cached key set has it."""
    key = actions.rotate_keys(call.tx, encryption=runtime().encryption, caller=call.caller, now=call.now)
    return members_of(key) | {"is_signing": False}
