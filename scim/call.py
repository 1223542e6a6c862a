"""A SCIM request: its rate limit, its connection, its transaction."""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from identity.actions.authentication import authenticate_source, client_of_signed_token
from identity.edge.audit import OnRefusal, refusals_audited
from identity.edge.authentication import anonymous, name_caller
from identity.edge.call import Call, issuer_for, tenant_of
from identity.edge.request import bearer_token, request_id
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.access import Caller
from identity.model.credential import hash_secret
from identity.model.errors import (
    NotAuthenticated,
    RateLimited,
)
from identity.model.ids import TenantId
from identity.model.rate import Rate
from identity.model.tenant import Tenant

TENANT_SHARE = 4
"""All connections of a tenant together ask at most as often as so many of them alone."""


BULKS_MAX = 2
"""Of one connection at a time in one process; each holds a slot (``ConcurrencyLimiter``) for as long as it takes."""


@contextmanager
def scim_call(slug: str, also: OnRefusal | None = None) -> Iterator[Call]:
    """Open the transaction of a SCIM request, authenticated by the bearer token of a connection or its client."""
    tenant = tenant_of(slug)
    with refusals_audited("scim", tenant.id, anonymous(), also) as audit:
        check_rate(tenant, token := _offered_token(tenant))
        with open_transaction(tenant.id, holds_events=True) as tx:
            now = runtime().clock()
            audit.caller = authenticate(tx, tenant, token, now=now)
            yield Call(tx, audit.caller, now, tenant)


def _offered_token(tenant: Tenant) -> str:
    """Return the bearer token; all who offer none may ask as often as one source: each of them is an event.

    Raises ``NotAuthenticated``, ``RateLimited``.
    """
    try:
        return bearer_token()
    except NotAuthenticated:
        _take((tenant.id, "no token"), runtime().scim_rate, "too many requests without a token; ask again")
        raise


@contextmanager
def bulk_call(tenant_id: TenantId, connection_id: UUID | None) -> Iterator[None]:
    """Let a connection do few Bulks at a time, and all connections of a tenant few together. Raises ``RateLimited``."""
    shared = runtime()
    of_tenant = max(1, shared.limiter.max_running // 2 - 1)  # one slot of a tenant's half stays for the rest
    with (
        shared.bulk_quota.slot((tenant_id, connection_id), most=BULKS_MAX),
        shared.bulk_quota.slot(tenant_id, most=of_tenant),
    ):
        yield


def authenticate(tx: Tx, tenant: Tenant, token: str, *, now: datetime) -> Caller:
    """Return the connection that a bearer token speaks for; remember that it did, for counting and for nothing else.

    Raises ``NotAuthenticated``, ``NotAllowed``, ``RateLimited``.
    """
    proved, place = runtime().known_tokens, (tenant.id, hash_secret(token))
    try:
        caller = name_caller(
            authenticate_source(tx, token, issuer=issuer_for(tenant), request_id=request_id(), now=now)
        )
    except NotAuthenticated:
        proved.remove(place)  # what it proved once it proves no more, and takes nothing of the connection's any more
        raise
    if caller.connection_id is not None and place not in proved:
        proved.put(place, caller.connection_id)
        take_of_connection(tenant.id, caller.connection_id)
    return caller


def check_rate(tenant: Tenant, token: str) -> None:
    """Refuse a bearer token that is used too often in this process, before it costs a look at the database.

    A token that proved a connection before takes from what that connection has left, and from its tenant; a token of
    ours that did not yet, from its client; whatever else somebody guessed, from what all strangers to the tenant have
    together. Raises ``RateLimited``.
    """
    shared = runtime()
    connection_id = shared.known_tokens.get((tenant.id, hash_secret(token)))
    if connection_id is not None:
        take_of_connection(tenant.id, connection_id)
        return
    client_id = client_of_signed_token(token, issuer_for(tenant), tenant.id, shared.clock())
    if client_id is not None:
        _take((tenant.id, client_id), shared.scim_rate, "this client asks too often")
    else:
        _take((tenant.id, None), shared.unknown_token_rate, "too many tokens that are not known here; ask again")


def take_of_connection(tenant_id: TenantId, connection_id: UUID) -> None:
    """Count a request of a connection, and of its tenant. Raises ``RateLimited``."""
    rate = runtime().scim_rate
    _take((tenant_id, connection_id), rate, "this connection asks too often")
    _take((tenant_id, tenant_id), rate.times(TENANT_SHARE), "the connections of this tenant ask too often")


def _take(caller: Hashable, rate: Rate, refused: str) -> None:
    wait_s = runtime().scim_buckets.take(caller, rate, time.monotonic())
    if wait_s > 0:
        raise RateLimited(refused, wait_s=wait_s)
