"""Connections: the sources that feed a tenant."""

from dataclasses import asdict, fields
from uuid import UUID

from identity.actions.connections import (
    change_connection,
    create_oidc_connection,
    create_scim_connection,
    end_connection,
    get_connection,
    list_connection_tokens,
    list_connections,
    rotate_connection_token,
)
from identity.actions.provisioning_log import list_log_entries
from identity.admin import requests, responses, responses_connections
from identity.admin.endpoints import operation
from identity.admin.parsing import cut_page, expected_version, known_id, read_id_cursor, write_cursor
from identity.admin.tenants import tenant_of_call
from identity.edge.call import Call
from identity.edge.runtime import new_secret, runtime
from identity.model.connection import Connection, ConnectionKind, UpstreamPolicy
from identity.model.credential import SCIM_TOKEN_PREFIX
from identity.model.provisioning_log import LogQuery, RecordedLogEntry
from identity.model.tenant import issuer_of, scim_url_of

POLICY = tuple(member.name for member in fields(UpstreamPolicy))


def _members(call: Call, connection: Connection) -> dict[str, object]:
    members = responses_connections.Connection.model_validate(connection).model_dump()
    if connection.kind is ConnectionKind.SCIM:
        members["scim_base_url"] = scim_url_of(issuer_of(runtime().external_url, tenant_of_call(call).slug))
        return members
    return members | asdict(connection.policy)


def _connection(call: Call, connection: Connection) -> responses_connections.Connection:
    return responses_connections.Connection.model_validate(_members(call, connection))


@operation(
    "POST",
    "/tenants/{tenant}/connections",
    body=requests.NewConnection,
    answer=responses_connections.CreatedConnection,
    status=201,
)
def create_connection(call: Call, asked: requests.NewConnection) -> responses_connections.CreatedConnection:
    """Create a connection; the bearer token of a scim connection is shown once."""
    if isinstance(asked.root, requests.NewOidcConnection):
        return responses_connections.CreatedConnection.model_validate(_members(call, _create_oidc(call, asked.root)))
    token = new_secret(SCIM_TOKEN_PREFIX)
    created = create_scim_connection(
        call.tx, name=asked.root.name, dialect=asked.root.dialect, token=token, caller=call.caller, now=call.now
    )
    return responses_connections.CreatedConnection.model_validate({**_members(call, created), "token": token})


def _create_oidc(call: Call, asked: requests.NewOidcConnection) -> Connection:
    return create_oidc_connection(
        call.tx,
        name=asked.name,
        issuer=asked.issuer,
        jwks_uri=asked.jwks_uri,
        jwks=asked.jwks,
        audiences=asked.audiences,
        subject_claim=asked.subject_claim,
        match=asked.match,
        provisioned_by=asked.provisioned_by,
        policy=UpstreamPolicy(asked.token_kinds, asked.max_age_s, asked.max_lifetime_s, asked.upstream_act),
        external_url=runtime().external_url,
        allow_loopback=runtime().allow_loopback,
        allow_development=runtime().allow_development_issuer,
        caller=call.caller,
        now=call.now,
    )


@operation(
    "GET", "/tenants/{tenant}/connections", query=requests.ConnectionPage, answer=responses_connections.ConnectionList
)
def list_connections_(call: Call, page: requests.ConnectionPage) -> responses_connections.ConnectionList:
    """List connections, of one name if it is given."""
    rows = list_connections(call.tx, name=page.name, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda connection: write_cursor(str(connection.id)))
    return responses_connections.ConnectionList(items=[_connection(call, row) for row in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/connections/{connection_id}", answer=responses_connections.Connection)
def get_connection_(call: Call, connection_id: UUID) -> responses_connections.Connection:
    """Read one connection."""
    return _connection(call, get_connection(call.tx, connection_id))


@operation(
    "PATCH",
    "/tenants/{tenant}/connections/{connection_id}",
    body=requests.ConnectionChange,
    answer=responses_connections.Connection,
)
def change_connection_(
    call: Call, asked: requests.ConnectionChange, connection_id: UUID
) -> responses_connections.Connection:
    """Change a connection's name, the dialect of a scim one, or which tokens of an oidc one are taken."""
    changed = change_connection(
        call.tx,
        connection_id,
        name=asked.name,
        dialect=asked.dialect,
        policy=asked.model_dump(include=set(POLICY), exclude_none=True),
        expected_version=expected_version(),
        caller=call.caller,
        now=call.now,
    )
    return _connection(call, changed)


@operation("DELETE", "/tenants/{tenant}/connections/{connection_id}")
def end_connection_(call: Call, connection_id: UUID) -> None:
    """End a connection; what it provisioned stays."""
    end_connection(call.tx, connection_id, caller=call.caller, now=call.now)


@operation("GET", "/tenants/{tenant}/connections/{connection_id}/tokens", answer=responses_connections.ConnectionTokens)
def list_connection_tokens_(call: Call, connection_id: UUID) -> responses_connections.ConnectionTokens:
    """List what is known of a connection's bearer tokens."""
    tokens = list_connection_tokens(call.tx, connection_id)
    return responses_connections.ConnectionTokens(
        items=[responses_connections.ConnectionToken.model_validate(token) for token in tokens], next_cursor=None
    )


@operation(
    "POST",
    "/tenants/{tenant}/connections/{connection_id}/tokens",
    body=requests.TokenRotation,
    answer=responses_connections.RotatedToken,
    status=201,
)
def rotate_connection_token_(
    call: Call, asked: requests.TokenRotation, connection_id: UUID
) -> responses_connections.RotatedToken:
    """Give a connection a new bearer token, shown once; the present ones live on for a while."""
    token = new_secret(SCIM_TOKEN_PREFIX)
    until = rotate_connection_token(
        call.tx, connection_id, token=token, overlap_s=asked.overlap_s, caller=call.caller, now=call.now
    )
    return responses_connections.RotatedToken(token=token, previous_expires_at=until)


@operation(
    "GET",
    "/tenants/{tenant}/connections/{connection_id}/requests",
    query=requests.RequestPage,
    answer=responses.RequestList,
)
def list_requests_(call: Call, page: requests.RequestPage, connection_id: UUID) -> responses.RequestList:
    """Read what a connection asked in the last days: what came, what changed, what was refused and why."""
    after = None if page.after is None else known_id(page.after)
    query = LogQuery(page.limit + 1, after, page.principal, page.name, page.outcome, page.span, page.order)
    rows = list_log_entries(call.tx, connection_id, query)
    shown, cursor = cut_page(rows, page.limit, lambda recorded: str(recorded.id))
    return responses.RequestList(items=[_request(row) for row in shown], next_cursor=cursor)


def _request(recorded: RecordedLogEntry) -> responses.Request:
    entry = recorded.entry
    return responses.Request(
        id=recorded.id,
        at=recorded.at,
        connection_id=recorded.connection_id,
        request_id=recorded.request_id,
        method=entry.method,
        path=entry.path,
        resource_type=entry.resource_type,
        principal_id=entry.principal_id,
        name=entry.name,
        outcome=entry.outcome,
        status=entry.status,
        scim_type=entry.scim_type,
        reason=entry.reason,
        detail=entry.detail,
        duration_ms=entry.duration_ms,
        body=entry.body,
        changes=[responses.Change(attribute=c.attribute, old=c.old, new=c.new) for c in entry.changes],
    )
