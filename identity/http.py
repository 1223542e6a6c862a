"""What every web edge needs: tenant, caller, request id, limits, one transaction, audited refusals."""

import re
import secrets
import time
import uuid
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from flask import Flask, Response, current_app, g, request

from identity.actions.audit import record_refusal, record_refusals
from identity.actions.authentication import authenticate_administrator, authenticate_source, vouched_client
from identity.actions.client_keys import ClientKeys
from identity.actions.issuance import Issuer
from identity.actions.keys import KeyRing
from identity.actions.sealing import Seal
from identity.actions.tenants import resolve_tenant
from identity.actions.upstream import UpstreamKeys
from identity.fairness import AtOnce, Buckets, Turns
from identity.model.access import Caller, CallerKind
from identity.model.credential import hash_secret
from identity.model.errors import (
    Malformed,
    NotAuthenticated,
    NotThere,
    OverLimit,
    Refusal,
    TooOften,
    Unavailable,
    first_line,
)
from identity.model.ids import PLATFORM, TenantId
from identity.model.rate import Rate
from identity.model.refusal_counts import RefusalKey
from identity.model.tenant import SLUG, Tenant, issuer_of
from identity.refusals import Refusals
from identity.store import Tx as Tx  # noqa: PLC0414 - edges annotate with it, and reach no further
from identity.store.transaction import rebound, transaction

BODY_BYTES_MAX = 1024 * 1024
FORM_BYTES_MAX = 64 * 1024
TENANTS_KEPT_MAX = 10_000
PROVED_KEPT_MAX = 10_000
BURST_S = 10
"""A source that was quiet may ask for so many seconds' worth at once: generic suites ask as fast as it goes."""

SCIM_RATE = Rate(per_s=200, burst=200 * BURST_S)
"""Of one connection in one process. Entra's gallery and IPSIE ask for at least 25 requests a second and tenant."""

TENANT_SHARE = 4
"""All connections of a tenant together ask at most as often as so many of them alone."""

STRANGER_RATE = Rate(per_s=25, burst=50)
"""Of tokens of one tenant that did not prove anything in this process yet; a good one is among them once."""

BULKS_MAX = 2
"""Of one connection at a time in one process; each holds a place (``Turns``) for as long as it takes."""

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
BEARER = re.compile(r"[Bb]earer +([\x21-\x7e]{1,8192})")  # an agent's own token names up to 4,096 characters of scope

log = structlog.get_logger("identity")


@dataclass(frozen=True, slots=True)
class House:
    """What the edges share in one process. ``clock``, dice and network come in here and nowhere else."""

    engine: Any
    seal: Seal
    keys: KeyRing
    upstream_keys: UpstreamKeys
    external_url: str
    admin_token_hash: bytes | None
    clock: Callable[[], datetime]
    allow_loopback: bool = False
    allow_development_issuer: bool = False
    body_bytes_max: int = BODY_BYTES_MAX
    scim_rate: Rate = SCIM_RATE
    stranger_rate: Rate = STRANGER_RATE
    scim_buckets: Buckets = field(default_factory=Buckets)
    proved: dict[tuple[TenantId, bytes], UUID] = field(default_factory=dict)
    bulks: AtOnce = field(default_factory=AtOnce)
    turns: Turns = field(default_factory=Turns)
    client_keys: ClientKeys = field(default_factory=ClientKeys)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request, its transaction open."""

    tx: Tx
    caller: Caller
    now: datetime
    tenant: Tenant | None = None


def utc_now() -> datetime:
    """The one wall clock."""
    return datetime.now(UTC)


def new_secret(prefix: str) -> str:
    """Return a fresh secret of 256 random bits behind a prefix that secret scanners know."""
    return prefix + secrets.token_urlsafe(32)


def house() -> House:
    """Return what the running application shares."""
    found: House = current_app.extensions["identity"]
    return found


def open_transaction(tenant_id: TenantId, *, holds_events: bool = False, is_brief: bool = False) -> Any:
    """Open a transaction of one tenant; ``holds_events`` lets them go with the entry of the request, in one trip, and a
    brief one is ended before it makes a cut wait.
    """
    return transaction(house().engine, tenant_id, holds_events=holds_events, is_brief=is_brief)


def transaction_of_new_tenant(tx: Tx) -> Any:
    """Continue a platform's transaction as that of a tenant which is about to be: one commit for both."""
    return rebound(tx, TenantId(tx.new_id()))


def request_id() -> str:
    """Return this request's id: the caller's own when it is a plain word, else a new one."""
    if "request_id" not in g:
        offered = request.headers.get("X-Request-Id", "")
        g.request_id = offered if REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
    found: str = g.request_id
    return found


def anonymous() -> Caller:
    """Return the caller of a request that proved nothing yet."""
    return Caller(CallerKind.ANONYMOUS, None, request_id())


def name_caller(caller: Caller) -> Caller:
    """Let every line of the log that this request still writes say who asks: a kind and an id, and no name."""
    structlog.contextvars.bind_contextvars(caller=f"{caller.kind}:{caller.id}")
    return caller


def log_unavailable(refusal: Refusal) -> None:
    """Tell the log why a request is answered with 503, which the caller is not told."""
    if isinstance(refusal, Unavailable):
        cause = refusal.cause or refusal.__cause__ or refusal.detail
        log.warning("unavailable", endpoint=request.endpoint, reason=refusal.reason, cause=first_line(cause))


def bearer_token() -> str:
    """Return the bearer token (RFC 6750 §2.1), from the header only. Raises ``NotAuthenticated``."""
    match = BEARER.fullmatch(request.headers.get("Authorization", ""))
    if match is None:
        raise NotAuthenticated("a bearer token is required")
    return match.group(1)


def read_body(limit_bytes: int | None = None) -> bytes:
    """Return the request's body. Raises ``OverLimit`` before more than ``limit_bytes`` were read, ``Malformed``."""
    limit_bytes = limit_bytes or house().body_bytes_max
    if (request.content_length or 0) > limit_bytes:
        raise OverLimit(f"a request body has at most {limit_bytes} bytes")
    body = request.stream.read(limit_bytes + 1)
    if len(body) > limit_bytes:
        raise OverLimit(f"a request body has at most {limit_bytes} bytes")
    if len(body) < (request.content_length or 0):  # the server hands over what came before a lost connection
        raise Malformed("the body is shorter than its Content-Length", reason="body_cut_short")
    return body


def tenant_of(slug: str) -> Tenant:
    """Return the tenant that a URL names. Raises ``NotThere``.

    A slug names the same tenant for ever, so what was found once is kept; what was not found is not.
    """
    kept = house().tenants
    found = kept.get(slug)
    if found is None:
        if not SLUG.fullmatch(slug):
            raise NotThere("there is no such tenant")
        with open_transaction(PLATFORM) as tx:
            found = resolve_tenant(tx, slug)
        if len(kept) >= TENANTS_KEPT_MAX:
            kept.clear()
        kept[slug] = found
    structlog.contextvars.bind_contextvars(tenant=slug)
    return found


def issuer_for(tenant: Tenant) -> Issuer:
    """Return what signs for a tenant, and what its tokens are verified with."""
    return Issuer(issuer_of(house().external_url, tenant.slug), tenant.slug, house().keys)


Also = Callable[[Tx, Refusal, Caller, datetime], None]
"""What an edge writes beside the event of a refusal."""


def refusal_detail(refusal: Refusal) -> dict[str, Any]:
    """Return what the event of a refusal says of the request."""
    said = {"method": request.method, "endpoint": request.endpoint, "code": refusal.code, **refusal.claimed}
    return said if refusal.parent is None else {**said, "parent": str(refusal.parent)}


@contextmanager
def refusals_audited(
    surface: str,
    tenant_id: TenantId,
    who: Callable[[], Caller],
    also: Also | None = None,
    is_recorded: Callable[[Refusal], bool] = lambda _: False,
) -> Iterator[None]:
    """Record every refusal of the block in a transaction of its own, then let it go on to the edge.

    One that ``is_recorded`` was committed with the request. Of callers who proved nothing, further ones of the same
    minute and reason are counted, and written as one event.
    """
    try:
        yield
    except (Unavailable, TooOften):
        raise  # nothing was decided; the trail may be what does not answer, and is not what a flood shall fill
    except Refusal as refusal:
        if is_recorded(refusal):
            raise
        caller = who()
        if caller.kind is CallerKind.ANONYMOUS:
            _record_anonymous(surface, tenant_id, refusal, caller)
            raise
        with open_transaction(tenant_id) as tx:
            now = house().clock()
            record_refusal(tx, surface, refusal, detail=refusal_detail(refusal), caller=caller, now=now)
            if also is not None:
                also(tx, refusal, caller, now)
        raise


def _record_anonymous(surface: str, tenant_id: TenantId, refusal: Refusal, caller: Caller) -> None:
    refusals, now = house().refusals, house().clock()
    key = RefusalKey(tenant_id, surface, refusal.reason)
    is_event, due = refusals.add(key, now)
    if not is_event and not due:
        return
    try:
        with open_transaction(tenant_id) as tx:
            record_refusals(tx, due, caller=caller, now=now)
            if is_event:
                record_refusal(tx, surface, refusal, detail=refusal_detail(refusal), caller=caller, now=now)
    except BaseException:
        refusals.give_up(due, key if is_event else None)
        raise


def check_rate(tenant: Tenant, token: str) -> None:
    """Refuse a bearer token that is used too often in this process, before it costs a look at the database.

    A token that proved a connection before takes from what that connection has left, and from its tenant; a token of
    ours that did not yet, from its client; whatever else somebody guessed, from what all strangers to the tenant have
    together. Raises ``TooOften``.
    """
    shared = house()
    connection_id = shared.proved.get((tenant.id, hash_secret(token)))
    if connection_id is not None:
        take_of_connection(tenant.id, connection_id)
        return
    client_id = vouched_client(token, issuer_for(tenant), tenant.id, shared.clock())
    if client_id is not None:
        _take((tenant.id, client_id), shared.scim_rate, "this client asks too often")
    else:
        _take((tenant.id, None), shared.stranger_rate, "too many tokens that are not known here; ask again")


def take_of_connection(tenant_id: TenantId, connection_id: UUID) -> None:
    """Count a request of a connection, and of its tenant. Raises ``TooOften``."""
    rate = house().scim_rate
    _take((tenant_id, connection_id), rate, "this connection asks too often")
    _take((tenant_id, tenant_id), rate.times(TENANT_SHARE), "the connections of this tenant ask too often")


def _take(caller: Hashable, rate: Rate, refused: str) -> None:
    wait_s = house().scim_buckets.take(caller, rate, time.monotonic())
    if wait_s > 0:
        raise TooOften(refused, wait_s=wait_s)


def authenticate(tx: Tx, tenant: Tenant, token: str, *, now: datetime) -> Caller:
    """Return the connection that a bearer token speaks for; remember that it did, for counting and for nothing else.

    Raises ``NotAuthenticated``, ``NotAllowed``, ``TooOften``.
    """
    proved, place = house().proved, (tenant.id, hash_secret(token))
    try:
        caller = name_caller(
            authenticate_source(tx, token, issuer=issuer_for(tenant), request_id=request_id(), now=now)
        )
    except NotAuthenticated:
        proved.pop(place, None)  # what it proved once it proves no more, and takes nothing of the connection's any more
        raise
    if caller.connection_id is not None and place not in proved:
        if len(proved) >= PROVED_KEPT_MAX:
            proved.clear()
        proved[place] = caller.connection_id
        take_of_connection(tenant.id, caller.connection_id)
    return caller


def _offered_token(tenant: Tenant) -> str:
    """Return the bearer token; all who offer none may ask as often as one source: each of them is an event.

    Raises ``NotAuthenticated``, ``TooOften``.
    """
    try:
        return bearer_token()
    except NotAuthenticated:
        _take((tenant.id, "no token"), house().scim_rate, "too many requests without a token; ask again")
        raise


@contextmanager
def scim_call(slug: str, also: Also | None = None) -> Iterator[Call]:
    """Open the transaction of a SCIM request, authenticated by the bearer token of a connection or its client."""
    tenant = tenant_of(slug)
    callers = [anonymous()]
    with refusals_audited("scim", tenant.id, lambda: callers[-1], also):
        check_rate(tenant, token := _offered_token(tenant))
        with open_transaction(tenant.id, holds_events=True) as tx:
            now = house().clock()
            callers.append(authenticate(tx, tenant, token, now=now))
            yield Call(tx, callers[-1], now, tenant)


@contextmanager
def bulk_call(tenant_id: TenantId, connection_id: UUID | None) -> Iterator[None]:
    """Let a connection do few Bulks at a time, and all connections of a tenant few together. Raises ``TooOften``."""
    shared = house()
    of_tenant = max(1, shared.turns.places // 2 - 1)  # of the places that a tenant may have, one stays for the rest
    with (
        shared.bulks.taken((tenant_id, connection_id), most=BULKS_MAX),
        shared.bulks.taken(tenant_id, most=of_tenant),
    ):
        yield


@contextmanager
def administrator_required() -> Iterator[Caller]:
    """Authenticate an administrator; a refusal belongs to no tenant, for none was proved."""
    with refusals_audited("admin", PLATFORM, anonymous):
        caller = authenticate_administrator(bearer_token(), house().admin_token_hash, request_id=request_id())
    yield name_caller(caller)


HARDENING = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def guard_every_answer(app: Flask) -> None:
    """Give every answer its request id and the headers that keep it out of caches and frames."""

    @app.before_request
    def bind() -> None:
        structlog.contextvars.clear_contextvars()
        route = None if request.url_rule is None else request.url_rule.rule
        structlog.contextvars.bind_contextvars(request_id=request_id(), route=route)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id()
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in HARDENING.items():
            response.headers.setdefault(name, value)
        return response
