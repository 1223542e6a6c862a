"""Open a SCIM call: its rate limit, its connection, its transaction, and its entry in the provisioning log."""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from uuid import UUID

from werkzeug.exceptions import HTTPException

from identity.actions.audit import record_refusal
from identity.actions.authentication import authenticate_source, client_of_signed_token
from identity.edge.audit import record_anonymous_refusal, refusal_detail
from identity.edge.authentication import anonymous, name_caller
from identity.edge.call import issuer_for
from identity.edge.request import bearer_token, request_id
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.access import Caller, CallerKind
from identity.model.credential import hash_secret
from identity.model.errors import NotAuthenticated, RateLimited, Refusal, Unavailable
from identity.model.ids import TenantId
from identity.model.rate import Rate
from identity.model.tenant import Tenant
from scim.call import ScimCall, make_call
from scim.provisioning_log import DraftEntry, write_done, write_fault, write_refusal
from scim.request import Request, read_request

TENANT_SHARE = 4
"""The rate of all connections of a tenant together, in rates of a single one."""

BULKS_MAX = 2
"""Of one connection at a time in one process; each holds a slot (``ConcurrencyLimiter``) for as long as it runs."""

KNOWN_TOKENS_MAX = 10_000


@contextmanager
def scim_call(slug: str, *, has_body: bool = False) -> Iterator[tuple[Request, ScimCall]]:
    """Read the request, then open its transaction, authenticated by the token of a connection or of its client.

    The transaction holds events: the statement of the log's entry writes them, or the COMMIT's. An entry is written
    when the block gave it a status. A refusal, or a fault of this server, is entered in a transaction of its own.
    """
    request = read_request(slug, has_body=has_body)
    tenant, entry, caller = request.tenant, request.entry, anonymous()
    try:
        try:
            check_rate(tenant, token := _offered_token(tenant))
            with open_transaction(tenant.id, holds_events=True) as tx:
                now = runtime().clock()
                caller = authenticate(tx, tenant, token, now=now)
                call = make_call(tx, caller, now, request.base_url, entry)
                entry.types = list(call.endpoints.catalogue.types.values())
                yield request, call
                write_done(entry, tx, caller, now)
        except Refusal as refusal:
            _record_refusal(tenant, entry, refusal, caller)
            raise
    except (Refusal, HTTPException):
        raise
    except Exception:
        write_fault(entry, partial(open_transaction, tenant.id), caller, runtime().clock())
        raise


def _record_refusal(tenant: Tenant, entry: DraftEntry, refusal: Refusal, caller: Caller) -> None:
    """Write the event of a refusal and the log's entry in one transaction.

    Where nothing was decided nothing is written: the database may not answer, and a flood shall not fill the trail.
    """
    if isinstance(refusal, Unavailable | RateLimited):
        return
    if caller.kind is CallerKind.ANONYMOUS:
        record_anonymous_refusal("scim", tenant.id, refusal, caller)
        return
    with open_transaction(tenant.id, holds_events=True) as tx:
        now = runtime().clock()
        record_refusal(tx, "scim", refusal, detail=refusal_detail(refusal), caller=caller, now=now)
        write_refusal(entry, tx, refusal, caller, now)


def _offered_token(tenant: Tenant) -> str:
    """Return the bearer token. All requests without one share the rate of one source, for each of them is an event.

    Raises ``NotAuthenticated``, ``RateLimited``.
    """
    try:
        return bearer_token()
    except NotAuthenticated:
        _take((tenant.id, "no token"), runtime().scim_rate, "too many requests without a token; ask again")
        raise


@contextmanager
def bulk_call(tenant_id: TenantId, connection_id: UUID | None) -> Iterator[None]:
    """Limit the Bulks that run at a time, of a connection and of a tenant. Raises ``RateLimited``."""
    shared = runtime()
    of_tenant = max(1, shared.turns.places // 2 - 1)  # of the slots that a tenant may have, one stays for the rest
    with (
        shared.bulks.slot((tenant_id, connection_id), most=BULKS_MAX),
        shared.bulks.slot(tenant_id, most=of_tenant),
    ):
        yield


def authenticate(tx: Tx, tenant: Tenant, token: str, *, now: datetime) -> Caller:
    """Return the connection of a bearer token. The token is remembered, for its rate limit and for nothing else.

    Raises ``NotAuthenticated``, ``NotAllowed``, ``RateLimited``.
    """
    known, key = runtime().known_tokens, (tenant.id, hash_secret(token))
    try:
        caller = name_caller(
            authenticate_source(tx, token, issuer=issuer_for(tenant), request_id=request_id(), now=now)
        )
    except NotAuthenticated:
        known.pop(key, None)  # its requests no longer count as the connection's
        raise
    if caller.connection_id is not None and key not in known:
        if len(known) >= KNOWN_TOKENS_MAX:
            known.clear()
        known[key] = caller.connection_id
        take_of_connection(tenant.id, caller.connection_id)
    return caller


def check_rate(tenant: Tenant, token: str) -> None:
    """Refuse a bearer token that is used too often in this process, before any query of the database.

    A token that authenticated a connection before counts for that connection and for its tenant. A new token of ours
    counts for its client. All other tokens share one rate per tenant. Raises ``RateLimited``.
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
    """Count a request for a connection and for its tenant. Raises ``RateLimited``."""
    rate = runtime().scim_rate
    _take((tenant_id, connection_id), rate, "this connection asks too often")
    _take((tenant_id, tenant_id), rate.times(TENANT_SHARE), "the connections of this tenant ask too often")


def _take(caller: Hashable, rate: Rate, refused: str) -> None:
    wait_s = runtime().scim_buckets.take(caller, rate, time.monotonic())
    if wait_s > 0:
        raise RateLimited(refused, wait_s=wait_s)
