"""Connections: create, read, change, rotate their tokens, end them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from identity.actions.jwks import check_jwks
from identity.actions.preconditions import check_version, require
from identity.model.access import Caller
from identity.model.connection import (
    DEFAULT_POLICY,
    DEVELOPMENT_ISSUER,
    Connection,
    ConnectionKind,
    Dialect,
    Match,
    UpstreamPolicy,
    check_subject_claim,
    is_of_development,
    narrows,
)
from identity.model.credential import ConnectionToken, hash_secret
from identity.model.errors import Conflict, InvalidRequest, LimitExceeded
from identity.model.event import Event
from identity.store import Tx
from identity.store.clients import connection_clients_revoke
from identity.store.connections import (
    connection_end,
    connection_find_by_issuer,
    connection_get,
    connection_insert,
    connection_list,
    connection_lock,
    connection_narrow,
    connection_token_insert,
    connection_tokens_expire,
    connection_tokens_list,
    connection_update,
)
from identity.store.events import event_insert

OVERLAP_S = 24 * 3600
OVERLAP_MAX_S = 30 * 24 * 3600
"""A token that was replaced longer ago than this was not rotated but forgotten."""

LIVE_TOKENS_MAX = 5
URL_LENGTH_MAX = 512
POLICY = frozenset(member.name for member in fields(UpstreamPolicy))
UNKNOWN = "no connection with this id"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def create_scim_connection(
    tx: Tx, *, name: str, dialect: Dialect, token: str, caller: Caller, now: datetime
) -> Connection:
    """Let a source push principals with ``token``, of which only the hash is stored."""
    connection = connection_insert(tx, {"kind": ConnectionKind.SCIM, "name": name, "dialect": dialect}, now=now)
    connection_token_insert(tx, connection.id, hash_secret(token), now=now)
    _record(tx, "connection.created", connection, {"kind": "scim", "dialect": dialect}, caller=caller, now=now)
    return connection


@dataclass(frozen=True, slots=True)
class NewOidcConnection:
    """An upstream issuer, and the audiences and policy under which its tokens are accepted."""

    name: str
    issuer: str
    jwks_uri: str | None
    jwks: Mapping[str, Any] | None
    audiences: tuple[str, ...]
    subject_claim: str
    match: Match
    provisioned_by: UUID | None
    policy: UpstreamPolicy = DEFAULT_POLICY


def create_oidc_connection(
    tx: Tx,
    requested: NewOidcConnection,
    *,
    external_url: str,
    allow_loopback: bool,
    allow_development: bool = False,
    caller: Caller,
    now: datetime,
) -> Connection:
    """Trust the tokens that an upstream issuer signs for the audiences (OpenID Connect Core §3.1.3.7).

    An ``externalId`` names a person only together with the source that gave it: that match needs ``provisioned_by``.
    Raises ``InvalidRequest``; ``AlreadyExists`` when a live connection trusts the issuer already.
    """
    issuer, jwks_uri, jwks = requested.issuer, requested.jwks_uri, requested.jwks
    check_issuer(issuer, external_url=external_url, allow_loopback=allow_loopback, allow_development=allow_development)
    if (jwks_uri is None) == (jwks is None):
        raise InvalidRequest("exactly one of jwks_uri and jwks must be given", pointer="/jwks_uri")
    if jwks_uri is not None:
        check_url(jwks_uri, pointer="/jwks_uri", allow_loopback=allow_loopback)
    _check_provisioner(tx, requested.match, requested.provisioned_by)
    members = {name: value for name, value in asdict(requested).items() if name != "policy"}
    checked = {
        "kind": ConnectionKind.OIDC,
        "jwks": None if jwks is None else check_jwks(jwks),
        "audiences": list(requested.audiences),
        "subject_claim": check_subject_claim(requested.subject_claim),
    }
    policy = _policy_row(asdict(requested.policy))
    connection = connection_insert(tx, members | checked | policy, now=now)
    detail = {"kind": "oidc", "issuer": issuer, **policy}
    _record(tx, "connection.created", connection, detail, caller=caller, now=now)
    return connection


def get_connection(tx: Tx, connection_id: UUID) -> Connection:
    """Return one connection, ended or not. Raises ``NotFound``."""
    return require(connection_get(tx, connection_id), UNKNOWN)


list_connections = connection_list


def change_connection(
    tx: Tx,
    connection_id: UUID,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None,
    caller: Caller,
    now: datetime,
) -> Connection:
    """Change a connection's ``name`` or ``dialect``, or members of its ``UpstreamPolicy``.

    Where it accepts fewer upstream tokens than before, the tokens that began with one of them end.
    Raises ``NotFound``, ``Conflict``, ``PreconditionFailed``, ``InvalidRequest``.
    """
    connection = _active(connection_lock(tx, connection_id))
    check_version("connection", connection.version, expected_version)
    if "dialect" in changes and connection.kind is not ConnectionKind.SCIM:
        raise InvalidRequest("dialect is for SCIM connections only", pointer="/dialect")
    policy = {name: value for name, value in changes.items() if name in POLICY}
    if policy and connection.kind is not ConnectionKind.OIDC:
        raise InvalidRequest("this member is for OIDC connections only", pointer=f"/{min(policy)}")
    present = {"name": connection.name, "dialect": connection.dialect, **_policy_row(asdict(connection.policy))}
    values = {name: new for name, new in _policy_row(changes).items() if new != present[name]}
    if not values:
        return connection
    is_narrowed = narrows(connection.policy, replace(connection.policy, **policy))
    write = connection_narrow if is_narrowed else connection_update
    changed = require(write(tx, connection_id, values), UNKNOWN)
    detail = {"changed": sorted(values), "is_narrowed": is_narrowed}
    _record(tx, "connection.changed", changed, detail, caller=caller, now=now)
    return changed


def rotate_connection_token(
    tx: Tx, connection_id: UUID, *, token: str, overlap_s: int, caller: Caller, now: datetime
) -> datetime:
    """Add ``token``; return until when the present ones live on. Raises ``NotFound``, ``Conflict``, ``InvalidRequest``,
    ``LimitExceeded`` when too many overlap.
    """
    connection = _active(connection_lock(tx, connection_id))
    if connection.kind is not ConnectionKind.SCIM:
        raise InvalidRequest("only a SCIM connection has tokens", pointer="/", reason="not_a_scim_connection")
    if not 0 <= overlap_s <= OVERLAP_MAX_S:
        raise InvalidRequest(f"overlap_s must be 0 to {OVERLAP_MAX_S} seconds", pointer="/overlap_s")
    until = now + timedelta(seconds=overlap_s)
    if overlap_s and _count_active(tx, connection_id, now) >= LIVE_TOKENS_MAX:
        raise LimitExceeded(
            f"{LIVE_TOKENS_MAX} tokens are active already; rotate with overlap_s 0 to revoke them",
            reason="too_many_tokens",
        )
    connection_tokens_expire(tx, connection_id, at=until)
    connection_token_insert(tx, connection_id, hash_secret(token), now=now)
    _record(tx, "connection.token_rotated", connection, {"overlap_s": overlap_s}, caller=caller, now=now)
    return until


def list_connection_tokens(tx: Tx, connection_id: UUID) -> list[ConnectionToken]:
    """Return the public members of a connection's tokens, newest first. Raises ``NotFound``."""
    get_connection(tx, connection_id)
    return connection_tokens_list(tx, connection_id)


def end_connection(tx: Tx, connection_id: UUID, *, caller: Caller, now: datetime) -> None:
    """Refuse every request of this source from now on, and end the tokens that rest on a token of it.

    The principals that it provisioned stay. Raises ``NotFound``.
    """
    connection = require(connection_lock(tx, connection_id), UNKNOWN)
    if connection.ended_at is not None:
        return
    connection_end(tx, connection_id, now=now)
    connection_tokens_expire(tx, connection_id, at=now)
    revoked = connection_clients_revoke(tx, connection_id, now=now)
    _record(
        tx, "connection.ended", connection, {"kind": connection.kind, "clients": len(revoked)}, caller=caller, now=now
    )


def end_development_connection(tx: Tx, *, caller: Caller, now: datetime) -> UUID | None:
    """End the tenant's connection that trusts the development issuer; return its id, None where there is none."""
    connection_id = connection_find_by_issuer(tx, DEVELOPMENT_ISSUER)
    if connection_id is not None:
        end_connection(tx, connection_id, caller=caller, now=now)
    return connection_id


def check_issuer(issuer: str, *, external_url: str, allow_loopback: bool, allow_development: bool = False) -> None:
    """Refuse a URL that cannot be an upstream issuer, and the issuers of this installation.

    The development issuer is trusted where that is allowed, and in one spelling. Raises ``InvalidRequest``.
    """
    parts = check_url(issuer, pointer="/issuer", allow_loopback=allow_loopback)
    if parts.query:
        raise InvalidRequest("must not have a query (RFC 8414 section 2)", pointer="/issuer")
    if is_of_development(parts.hostname or "") and not (allow_development and issuer == DEVELOPMENT_ISSUER):
        raise InvalidRequest(
            f"must not be an issuer of `identity dev`; there, {DEVELOPMENT_ISSUER} is the only one",
            pointer="/issuer",
            reason="development_issuer",
        )
    ours = urlsplit(external_url)
    if parts.netloc.lower() == ours.netloc.lower() and parts.path.startswith(f"{ours.path}/t/"):
        raise InvalidRequest(
            "must be an upstream issuer; this URL is an issuer of this server", pointer="/issuer", reason="own_issuer"
        )


def check_url(url: str, *, pointer: str, allow_loopback: bool) -> SplitResult:
    """Return the parts of an https URL; http only on this machine, and only when that is allowed.

    Where it leads is checked when it is fetched: names change their addresses. Raises ``InvalidRequest``.
    """
    try:
        parts = urlsplit(url) if url.isascii() and url.isprintable() and " " not in url else None
        host = parts.hostname if parts and (parts.port is None or parts.port > 0) else None
    except ValueError:
        parts = host = None
    if parts is None or not host or parts.username is not None or "#" in url or len(url) > URL_LENGTH_MAX:
        raise InvalidRequest("must be an absolute URL without user information or fragment", pointer=pointer)
    local = parts.scheme == "http" and allow_loopback and host in LOOPBACK
    if parts.scheme != "https" and not local:
        raise InvalidRequest("must be an https URL", pointer=pointer, reason="https_required")
    return parts


def _policy_row(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy, or part of one, as it is stored: each kind once, in one order."""
    kinds = {"token_kinds": sorted(set(policy["token_kinds"]))} if "token_kinds" in policy else {}
    return {**policy, **kinds}


def _check_provisioner(tx: Tx, match: Match, connection_id: UUID | None) -> None:
    if connection_id is None and match is Match.EXTERNAL_ID:
        raise InvalidRequest(
            "provisioned_by must name the SCIM connection that provisions these people: "
            "externalId is unique only within one connection",
            pointer="/provisioned_by",
            reason="provisioned_by_required",
        )
    if connection_id is None:
        return
    found = connection_get(tx, connection_id)
    if found is None or found.kind is not ConnectionKind.SCIM or found.ended_at is not None:
        raise InvalidRequest("no active SCIM connection has this id", pointer="/provisioned_by")


def _count_active(tx: Tx, connection_id: UUID, now: datetime) -> int:
    tokens = connection_tokens_list(tx, connection_id)
    return sum(token.revoked_at is None and (token.expires_at is None or token.expires_at > now) for token in tokens)


def _active(connection: Connection | None) -> Connection:
    found = require(connection, UNKNOWN)
    if found.ended_at is not None:
        raise Conflict("the connection was ended", reason="connection_ended")
    return found


def _record(
    tx: Tx, type_: str, connection: Connection, detail: Mapping[str, Any], *, caller: Caller, now: datetime
) -> None:
    members = {"connection_id": str(connection.id), **detail}
    event_insert(tx, Event(type=type_, detail=members), caller=caller, now=now)
