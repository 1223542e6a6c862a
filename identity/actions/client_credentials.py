"""Client credentials (RFC 6749 §4.4): an agent, a service account or a connection's client gets a token of its own."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from identity.actions.issuance import (
    ClientCall,
    InvalidScope,
    InvalidTarget,
    InvalidTask,
    PartyInactive,
    check_grant,
    issue_token,
)
from identity.model.client import SCIM_SCOPE, Client, GrantType
from identity.model.errors import Refusal
from identity.model.exchange import Requested, earliest
from identity.model.scope import narrow_scopes
from identity.model.task import Task
from identity.model.tenant import ACCESS_LIFETIME_S, scim_url_of
from identity.model.token import Issue, IssuedToken, Party, is_active
from identity.store import Tx
from identity.store.facts import ClientCredentialsFacts, ClientLookup, client_credentials_facts_read

__all__ = [
    "ClientCredentialsFacts",
    "issue_client_credentials_token",
    "own_scopes",
    "read_client_credentials_facts",
]


def read_client_credentials_facts(
    tx: Tx, requested: Requested, client: ClientLookup, now: datetime
) -> ClientCredentialsFacts:
    """Read every fact in one statement: the client, its principal, the resource server and the task."""
    return client_credentials_facts_read(tx, client, resource=requested.resource, txn=requested.txn, now=now)


def issue_client_credentials_token(
    call: ClientCall, requested: Requested, facts: ClientCredentialsFacts
) -> IssuedToken:
    """Issue a token without actors whose subject is the client's principal (RFC 6749 §4.4.3).

    Without a resource its audience is the issuer. It serves a task only when it names one of the principal's own. A
    connection's client gets a token for the SCIM endpoint alone. Raises ``UnauthorizedClient``, ``PartyInactive``,
    ``InvalidTarget``, ``InvalidScope``, ``InvalidTask``, ``TooManyTokens``.
    """
    client = call.client
    try:
        check_grant(client, GrantType.CLIENT_CREDENTIALS)
        task = None if requested.txn is None else _own_task(facts.task, client, call.now)
        if client.connection_id is None:
            issue = _for_principal(call, requested, facts, task)
        else:
            issue = _for_connection(call, requested)
        return issue_token(call, issue, facts.common, task=task)
    except Refusal as refusal:
        refusal.concerns(subject_id=client.principal_id)
        raise


def _own_task(task: Task | None, client: Client, now: datetime) -> Task:
    """Return the named task where the client's principal opened it for itself. Raises ``InvalidTask``."""
    own = client.principal_id
    if task is None or own is None or task.subject_id != own:
        raise InvalidTask("there is no such task of this client's own", reason="unknown_task")
    fault = task.refuses(own, own, is_in_it=False, now=now)
    if fault is not None:
        raise InvalidTask("the task cannot be joined", reason=fault)
    return task


def _for_principal(call: ClientCall, requested: Requested, facts: ClientCredentialsFacts, task: Task | None) -> Issue:
    party, resource = facts.principal, requested.resource
    if party is None or not is_active(party, call.now):
        raise PartyInactive("the principal of this client is not active", reason="actor_inactive")
    return Issue(
        jti=call.tx.new_id(),
        txn=task.txn if task else None,
        client_id=call.client.client_id,
        client_ids=(call.client.client_id,),
        subject=party,
        parties=(party,),
        audience=resource or call.issuer.identifier,
        audiences=(resource,) if resource else (),
        basis={f"resource {resource}": facts.resource_epoch} if resource else {},
        scopes=own_scopes(facts, call.client, requested, task),
        issued_at=call.now,
        expires_at=_expiry(call.now, party, task, facts.common.max_task_s),
    )


def own_scopes(
    facts: ClientCredentialsFacts, client: Client, requested: Requested, task: Task | None = None
) -> tuple[str, ...]:
    """Return the scopes of a client's own token, or of its task. Raises ``InvalidTarget``, ``InvalidScope``."""
    if requested.resource is not None and facts.resource_scopes is None:
        raise InvalidTarget("the resource is not registered", reason="unknown_resource")
    held = [scope for scope in client.scopes if facts.resource_scopes is None or scope in facts.resource_scopes]
    granted = narrow_scopes(_within(task, requested.resource, held), requested.scopes)
    if granted is None:
        raise InvalidScope("the client does not hold this scope", reason="scope_exceeded")
    return granted


def _within(task: Task | None, resource: str | None, scopes: Sequence[str]) -> Sequence[str]:
    """Return the scopes that are in the authority of a task, where it has one."""
    if task is None or task.authority is None or resource is None:
        return scopes
    entry = task.held_at(resource)
    if entry is None:
        raise InvalidTarget("the task is not for this resource", reason="resource_not_in_task")
    if entry.authorization_details:  # a client's own token has none, and would not be restricted as the task is
        raise InvalidScope(
            "the task has authorization_details here, and a client none of its own", reason="nothing_left"
        )
    return [scope for scope in scopes if scope in entry.scopes]


def _expiry(now: datetime, party: Party, task: Task | None, max_task_s: int) -> datetime:
    ends = (task.expires_at, task.created_at + timedelta(seconds=max_task_s)) if task else ()
    expires_at = earliest(now, [ACCESS_LIFETIME_S], [party.valid_until, *ends])
    if expires_at <= now:
        raise PartyInactive("nothing of the lifetime is left", reason="lifetime_spent")
    return expires_at


def _for_connection(call: ClientCall, requested: Requested) -> Issue:
    """A connection's client ends with its connection: since it was authenticated, its connection is active."""
    endpoint = scim_url_of(call.issuer.identifier)
    if requested.resource not in (None, endpoint):
        raise InvalidTarget("a connection's client has tokens for the SCIM endpoint alone", reason="not_scim")
    granted = narrow_scopes((SCIM_SCOPE,), requested.scopes)
    if granted is None:
        raise InvalidScope("a connection's client does not hold this scope", reason="scope_exceeded")
    return Issue(
        jti=call.tx.new_id(),
        client_id=call.client.client_id,
        client_ids=(call.client.client_id,),
        audience=endpoint,
        scopes=granted,
        issued_at=call.now,
        expires_at=earliest(call.now, [ACCESS_LIFETIME_S], []),
    )
