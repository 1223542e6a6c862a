"""Open a SCIM call: its rate limit, its connection, its transaction, and its entry in the provisioning log."""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from uuid import UUID

from werkzeug.exceptions import HTTPException

from identity.actions.authentication import authenticate_source, client_of_signed_token
from identity.actions.provisioning_log import log_entry_insert
from identity.edge.audit import Audit, refusals_audited
from identity.edge.authentication import anonymous, name_caller
from identity.edge.call import issuer_for
from identity.edge.request import bearer_token, request_id
from identity.edge.runtime import Runtime, Tx, open_transaction, runtime
from identity.model.access import Caller
from identity.model.credential import hash_secret
from identity.model.errors import NotAuthenticated, RateLimited, Refusal, Unavailable
from identity.model.ids import TenantId
from identity.model.rate import Rate
from identity.model.tenant import Tenant
from scim.call import ScimCall, make_call
from scim.provisioning_log import DraftEntry, write_fault
from scim.request import Request, read_request

TENANT_SHARE = 4
"""The rate of all connections of a tenant together, in rates of a single one."""

BULKS_MAX = 2
"""Of one connection at a time in one process; each holds a slot (``ConcurrencyLimiter``) for as long as it runs."""


@contextmanager
def scim_call(slug: str, *, has_body: bool = False) -> Iterator[tuple[Request, ScimCall]]:
    """Read the request, then open its transaction, authenticated by the token of a connection or of its client.

    The transaction holds events: the statement of the log's entry writes them, or the COMMIT's. An entry is written
    when the block gave it a status. A refusal, or a fault of this server, is entered in a transaction of its own.
    """
    request = read_request(slug, has_body=has_body)
    tenant, entry = request.tenant, request.entry
    with refusals_audited("scim", tenant.id, anonymous()) as audit:
        try:
            check_rate(tenant, token := _offered_token(tenant))
            with open_transaction(tenant.id, holds_events=True) as tx:
                now = runtime().clock()
                audit.caller = authenticate(tx, tenant, token, now=now)
                call = make_call(tx, audit.caller, now, request.base_url, entry)
                entry.types = list(call.endpoints.catalogue.types.values())
                yield request, call
                call.write_entry()
        except Exception as error:
            _enter_failure(entry, audit, error)
            raise


def _enter_failure(entry: DraftEntry, audit: Audit, error: Exception) -> None:
    """Write the log's entry of a refusal together with its event, or that of a fault of this server.

    Without a connection there is no log. Where nothing was decided, nothing is entered.
    """
    if audit.caller.connection_id is None or isinstance(error, Unavailable | RateLimited | HTTPException):
        return
    begin = partial(open_transaction, audit.tenant_id, holds_events=True)
    if not isinstance(error, Refusal):
        write_fault(entry, begin, audit.caller, runtime().clock())
        return
    with begin() as tx:
        now = runtime().clock()
        audit.record(tx, error, now)
        log_entry_insert(tx, entry.refused(error), caller=audit.caller, now=now)


def _offered_token(tenant: Tenant) -> str:
    """Return the bearer token. All requests without one share the rate of one source, for each of them is an event.

    Raises ``NotAuthenticated``, ``RateLimited``.
    """
    try:
        return bearer_token()
    except NotAuthenticated:
        _take(runtime(), (tenant.id, "no token"), runtime().scim_rate, "too many requests without a token; ask again")
        raise


@contextmanager
def bulk_call(tenant_id: TenantId, connection_id: UUID | None) -> Iterator[None]:
    """Limit the Bulks that run at a time, of a connection and of a tenant. Raises ``RateLimited``."""
    shared = runtime()
    of_tenant = max(1, shared.limiter.max_running // 2 - 1)  # one slot of a tenant's half stays for the rest
    with (
        shared.bulk_quota.slot((tenant_id, connection_id), most=BULKS_MAX),
        shared.bulk_quota.slot(tenant_id, most=of_tenant),
    ):
        yield


def authenticate(tx: Tx, tenant: Tenant, token: str, *, now: datetime) -> Caller:
    """Return the connection of a bearer token. The token is remembered, for its rate limit and for nothing else.

    Raises ``NotAuthenticated``, ``NotAllowed``, ``RateLimited``.
    """
    shared, key = runtime(), (tenant.id, hash_secret(token))
    try:
        caller = name_caller(
            authenticate_source(tx, token, issuer=issuer_for(tenant), request_id=request_id(), now=now)
        )
    except NotAuthenticated:
        shared.known_tokens.remove(key)  # its requests no longer count as the connection's
        raise
    if caller.connection_id is not None and key not in shared.known_tokens:
        shared.known_tokens.put(key, caller.connection_id)
        take_of_connection(shared, tenant.id, caller.connection_id)
    return caller


def check_rate(tenant: Tenant, token: str) -> None:
    """Refuse a bearer token that is used too often in this process, before any query of the database.

    A token that authenticated a connection before counts for that connection and for its tenant. A new token of ours
    counts for its client. All other tokens share one rate per tenant. Raises ``RateLimited``.
    """
    shared = runtime()
    connection_id = shared.known_tokens.get((tenant.id, hash_secret(token)))
    if connection_id is not None:
        take_of_connection(shared, tenant.id, connection_id)
        return
    client_id = client_of_signed_token(token, issuer_for(tenant), tenant.id, shared.clock())
    if client_id is not None:
        _take(shared, (tenant.id, client_id), shared.scim_rate, "this client asks too often")
    else:
        _take(
            shared, (tenant.id, None), shared.unknown_token_rate, "too many tokens that are not known here; ask again"
        )


def take_of_connection(shared: Runtime, tenant_id: TenantId, connection_id: UUID) -> None:
    """Count a request for a connection and for its tenant. Raises ``RateLimited``."""
    rate = shared.scim_rate
    _take(shared, (tenant_id, connection_id), rate, "this connection asks too often")
    _take(shared, (tenant_id, tenant_id), rate.times(TENANT_SHARE), "the connections of this tenant ask too often")


def _take(shared: Runtime, caller: Hashable, rate: Rate, refused: str) -> None:
    wait_s = shared.scim_buckets.take(caller, rate, time.monotonic())
    if wait_s > 0:
        raise RateLimited(refused, wait_s=wait_s)
