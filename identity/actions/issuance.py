"""Issuing: build, sign, verify our own output, remember with its event; only then does a token leave."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from identity_verifier import Expected, KeySet, Rule, VerificationError, VerifiedClaims, verify_token
from joserfc import jws
from joserfc.jwk import ECKey

from identity.actions.signing_keys import KeyRing
from identity.model.access import Caller
from identity.model.claims import claims_of
from identity.model.client import SCIM_SCOPE, Client, GrantType
from identity.model.errors import InvalidRequest, NotAllowed, Refusal
from identity.model.event import Event
from identity.model.scope import narrow_scopes
from identity.model.signing_key import SigningKey, signing_key
from identity.model.task import Task
from identity.model.tenant import ACCESS_LIFETIME_S, DEPTH_MAX, TASK_LIFETIME_MAX_S, scim_url_of
from identity.model.token import Issue, IssuedToken, lives
from identity.store import Tx
from identity.store.facts import ClientCredentialsFacts, ClientLookup, CommonFacts, itself_facts_read
from identity.store.tokens import token_remember

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 §2.1


class UnauthorizedClient(NotAllowed):
    """The client is not registered for this grant (RFC 6749 §5.2)."""

    code = "unauthorized_client"


class InvalidTarget(Refusal):
    """The resource is unknown, repeated, or not where the token may go (RFC 8707 §2)."""

    code = "invalid_target"


class InvalidScope(Refusal):
    """More is asked than is held (RFC 6749 §5.2)."""

    code = "invalid_scope"


class PartyInactive(NotAllowed):
    """A principal is not active, or outside its validity window."""

    code = "party_inactive"


class TooManyTokens(Refusal):
    """A task has spent its budget, for now or for good."""

    code = "too_many_tokens"


class InvalidTask(Refusal):
    """The task that is named is not one that this token may serve."""

    code = "invalid_task"


BUDGET_FAULTS = frozenset({"task_budget_spent", "task_rate_exceeded", "task_fan_out_exceeded"})


class TooManyTasks(Refusal):
    """One actor opened as many tasks as it may in so short a time."""

    code = "too_many_tasks"


@dataclass(frozen=True, slots=True)
class Issuer:
    """What signs for one tenant: its identifier and the parsed keys of the process."""

    identifier: str
    tenant: str
    keys: KeyRing


def read_client_credentials_facts(
    tx: Tx, client: ClientLookup, *, resource: str | None, txn: UUID | None, now: datetime
) -> ClientCredentialsFacts:
    """Read what a token for the client itself is decided on."""
    return itself_facts_read(tx, client, resource=resource, txn=txn, now=now)


def check_grant(client: Client, grant_type: GrantType) -> None:
    """Refuse a grant that the client is not registered for. Raises ``UnauthorizedClient``."""
    if grant_type not in client.grant_types:
        raise UnauthorizedClient("the client may not use this grant type", reason="grant_type")


def issue_client_credentials_token(
    tx: Tx,
    facts: ClientCredentialsFacts,
    client: Client,
    *,
    resource: str | None,
    scopes: tuple[str, ...] | None,
    txn: UUID | None,
    issuer: Issuer,
    caller: Caller,
    now: datetime,
) -> IssuedToken:
    """Give an agent or service account a token for itself (RFC 6749 §4.4): no subject but it, no actor, and no task
    unless it names one of its own.

    Without a resource the token is good at the issuer only. A connection's client gets one for the SCIM endpoint, and
    for nothing else. Raises ``UnauthorizedClient``, ``PartyInactive``, ``InvalidTarget``, ``InvalidScope``,
    ``InvalidTask``, ``TooManyTokens``.
    """
    try:
        check_grant(client, GrantType.CLIENT_CREDENTIALS)
        task = None if txn is None else _own_task(facts.task, client, now)
        decide = _decide_for_itself if client.connection_id is None else _decide_for_connection
        issue = decide(tx, facts, client, resource=resource, scopes=scopes, task=task, issuer=issuer, now=now)
        return issue_token(tx, issue, facts.common, new_task=None, task=task, issuer=issuer, caller=caller, now=now)
    except Refusal as refusal:
        refusal.concerns(subject_id=client.principal_id)
        raise


def _own_task(task: Task | None, client: Client, now: datetime) -> Task:
    """Return the task that a client's own token shall serve: one that its principal opened for itself."""
    own = client.principal_id
    if task is None or own is None or task.subject_id != own:
        raise InvalidTask("there is no such task of this client's own", reason="unknown_task")
    fault = task.refuses(own, own, is_in_it=False, now=now)
    if fault is not None:
        raise InvalidTask("the task cannot be joined", reason=fault)
    return task


def _decide_for_itself(
    tx: Tx,
    facts: ClientCredentialsFacts,
    client: Client,
    *,
    resource: str | None,
    scopes: tuple[str, ...] | None,
    task: Task | None,
    issuer: Issuer,
    now: datetime,
) -> Issue:
    party = facts.principal
    if party is None or not lives(party, now):
        raise PartyInactive("the principal of this client is not active", reason="actor_inactive")
    granted = own_scopes(facts, client, resource, scopes, task)
    return Issue(
        jti=tx.new_id(),
        txn=task.txn if task else None,
        client_id=client.client_id,
        subject=party,
        actors=(),
        parent_id=None,
        ancestor_ids=(),
        delegation_ids=(),
        client_ids=(client.client_id,),
        parties=(party,),
        depth_max=0,
        audience=resource or issuer.identifier,
        scopes=granted,
        authorization_details=(),
        issued_at=now,
        expires_at=earliest_expiry(now, ACCESS_LIFETIME_S, party.valid_until, _end_of(task, facts.common)),
        audiences=() if resource is None else (resource,),
        basis={} if resource is None else {f"resource {resource}": facts.resource_epoch},
    )


def own_scopes(
    facts: ClientCredentialsFacts,
    client: Client,
    resource: str | None,
    asked: tuple[str, ...] | None,
    task: Task | None = None,
) -> tuple[str, ...]:
    """Return the scopes that a client has for itself, or for its task. Raises ``InvalidTarget``, ``InvalidScope``."""
    if resource is not None and facts.resource_scopes is None:
        raise InvalidTarget("the resource is not registered", reason="unknown_resource")
    held = [scope for scope in client.scopes if facts.resource_scopes is None or scope in facts.resource_scopes]
    granted = narrow_scopes(_within(task, resource, held), asked)
    if granted is None:
        raise InvalidScope("the client does not hold this scope", reason="scope_exceeded")
    return granted


def _within(task: Task | None, resource: str | None, scopes: Sequence[str]) -> Sequence[str]:
    """Return the scopes that a task leaves, where it has an authority of its own."""
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


def _end_of(task: Task | None, common: CommonFacts) -> datetime | None:
    return None if task is None else min(task.expires_at, task.created_at + timedelta(seconds=common.max_task_s))


def _decide_for_connection(
    tx: Tx,
    facts: ClientCredentialsFacts,
    client: Client,
    *,
    resource: str | None,
    scopes: tuple[str, ...] | None,
    task: Task | None,
    issuer: Issuer,
    now: datetime,
) -> Issue:
    """A client ends with its connection, so that it is live says that the connection is."""
    del facts, task  # a connection opens none
    endpoint = scim_url_of(issuer.identifier)
    if resource not in (None, endpoint):
        raise InvalidTarget("a connection's client has tokens for the SCIM endpoint alone", reason="not_scim")
    granted = narrow_scopes((SCIM_SCOPE,), scopes)
    if granted is None:
        raise InvalidScope("a connection's client does not hold this scope", reason="scope_exceeded")
    return Issue(
        jti=tx.new_id(),
        txn=None,
        client_id=client.client_id,
        subject=None,
        actors=(),
        parent_id=None,
        ancestor_ids=(),
        delegation_ids=(),
        client_ids=(client.client_id,),
        parties=(),
        depth_max=0,
        audience=endpoint,
        scopes=granted,
        authorization_details=(),
        issued_at=now,
        expires_at=earliest_expiry(now, ACCESS_LIFETIME_S),
    )


def issue_token(
    tx: Tx,
    issue: Issue,
    common: CommonFacts,
    *,
    new_task: Task | None,
    task: Task | None = None,
    issuer: Issuer,
    caller: Caller,
    now: datetime,
) -> IssuedToken:
    """Sign, verify what was signed, remember it with its event. ``task`` is the one that it serves, if it is not new.

    Raises ``PartyInactive`` when something that it rests on has just ended, ``TooManyTasks`` when the actor opened too
    many, ``TooManyTokens`` when the task has spent its budget, ``InvalidRequest`` when no verifier would take so large
    a token.
    """
    claims = claims_of(issue, issuer=issuer.identifier, tenant=issuer.tenant)
    key = signing_key(common.keys, now)
    access_token = sign(claims, key, issuer.keys.private(tx.tenant_id, key))
    try:
        verify_own(access_token, issuer.keys.public(tx.tenant_id, common.keys), issuer, issue.audience, now)
    except VerificationError as failed:
        if failed.rule is not Rule.SIZE:
            raise
        raise InvalidRequest(
            "the token would be too large; request less", pointer="authorization_details", reason="token_size"
        ) from None
    budget = task.budget if task else None
    fault = token_remember(tx, issue, _told(issue, claims), new_task=new_task, budget=budget, caller=caller, now=now)
    if fault is not None:
        raise _refusal_of(fault)
    return IssuedToken(access_token, claims["exp"] - claims["iat"], issue.scopes, issue.authorization_details, claims)


def _refusal_of(fault: str) -> Refusal:
    if fault == "too_many_tasks":
        return TooManyTasks("this actor opened too many tasks; ask again when some have expired", reason=fault)
    if fault in BUDGET_FAULTS:
        return TooManyTokens("the budget of the task does not allow another token", reason=fault)
    return PartyInactive("something that this token rests on has just ended", reason=fault)


def _told(issue: Issue, claims: Mapping[str, Any]) -> Event:
    return Event(
        type="token.issued",
        subject_id=issue.subject.id if issue.subject else None,
        actor_ids=tuple(actor.id for actor in issue.actors),
        txn=issue.txn,
        detail={
            "jti": str(issue.jti),
            "client_id": issue.client_id,
            "audience": issue.audience,
            "scope": " ".join(issue.scopes),
            "expires_in": claims["exp"] - claims["iat"],
            "delegations": list(map(str, issue.delegation_ids)),
            "parent": None if issue.parent_id is None else str(issue.parent_id),
            **({"pairs": list(map(str, issue.pair_ids))} if issue.pair_ids else {}),
            **({"renewal": True, "first_jti": str(issue.first_jti)} if issue.first_jti else {}),
            **({"upstream_act": issue.upstream.act} if issue.upstream and issue.upstream.act else {}),
        },
    )


def sign(claims: Mapping[str, Any], key: SigningKey, private: ECKey, *, type_: str = ACCESS_TOKEN_TYPE) -> str:
    """Return a compact JWS (RFC 7515 §7.1), of an RFC 9068 access token unless ``type_`` is another."""
    header = {"typ": type_, "alg": key.alg, "kid": key.kid}
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    return jws.serialize_compact(header, payload, private, algorithms=[key.alg])


def verify_own(unverified_token: str, keys: KeySet, issuer: Issuer, audience: str, now: datetime) -> VerifiedClaims:
    """Verify a token of ours as a resource server would. Raises ``VerificationError``."""
    expected = Expected(
        issuer=issuer.identifier,
        audience=audience,
        tenant=issuer.tenant,
        max_depth=DEPTH_MAX,
        max_lifetime_s=max(ACCESS_LIFETIME_S, TASK_LIFETIME_MAX_S),
        algorithms=("ES256",),
    )
    return verify_token(unverified_token, keys, expected, now)


def earliest_expiry(now: datetime, lifetime_s: int, *bounds: datetime | None) -> datetime:
    """Return the earliest of ``now + lifetime_s`` and every bound, in whole seconds, never later."""
    earliest = min([now.timestamp() // 1 + lifetime_s, *(bound.timestamp() // 1 for bound in bounds if bound)])
    if earliest <= now.timestamp():
        raise PartyInactive("nothing of the lifetime is left", reason="lifetime_spent")
    return datetime.fromtimestamp(earliest, now.tzinfo)


def parse_kid(kid: object) -> str | None:
    """Return the ``kid`` of a key of ours, when it has the form of one."""
    try:
        return str(UUID(str(kid)))
    except ValueError:
        return None


def parse_jti(claims: Mapping[str, Any]) -> UUID | None:
    """Return the id of a token of ours, when it has the form of one."""
    try:
        return UUID(str(claims.get("jti")))
    except ValueError:
        return None
