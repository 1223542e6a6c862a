"""Issuing a token: build it, sign it, verify it, store it with its event; only then does it leave."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from identity_verifier import Expected, KeySet, Rule, VerificationError, VerifiedClaims, verify_token
from joserfc import jws
from joserfc.jwk import ECKey

from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.model.access import Caller
from identity.model.claims import claims_of
from identity.model.client import Client, GrantType
from identity.model.errors import InvalidRequest, NotAllowed, Refusal
from identity.model.event import Event
from identity.model.signing_key import SigningKey, signing_key
from identity.model.task import Task
from identity.model.tenant import ACCESS_LIFETIME_S, DEPTH_MAX, TASK_LIFETIME_MAX_S
from identity.model.token import Issue, IssuedToken, TokenFacts, inactive_reason
from identity.store import Tx
from identity.store.facts import CommonFacts
from identity.store.tokens import token_remember

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 §2.1


class UnauthorizedClient(NotAllowed):
    """The client is not registered for this grant (RFC 6749 §5.2)."""

    code = "unauthorized_client"


class InvalidTarget(Refusal):
    """The resource is unknown, repeated, or not one that the token may be for (RFC 8707 §2)."""

    code = "invalid_target"


class InvalidScope(Refusal):
    """The request exceeds the scopes that are held (RFC 6749 §5.2)."""

    code = "invalid_scope"


class PartyInactive(NotAllowed):
    """A principal is not active, or outside its validity window."""

    code = "party_inactive"


class TooManyTokens(Refusal):
    """A task has spent its budget, for now or for good."""

    code = "too_many_tokens"


class InvalidTask(Refusal):
    """The token may not serve the task that the request names."""

    code = "invalid_task"


BUDGET_FAULTS = frozenset({"task_budget_spent", "task_rate_exceeded", "task_fan_out_exceeded"})


class TooManyTasks(Refusal):
    """The actor has opened as many tasks as one may in one and a half hours."""

    code = "too_many_tasks"


@dataclass(frozen=True, slots=True)
class Issuer:
    """The issuer of one tenant: its identifier (RFC 8414 §2), the tenant's slug, and the keys that sign."""

    identifier: str
    tenant: str
    keys: KeyRing


@dataclass(frozen=True, slots=True)
class ClientCall:
    """One request of an authenticated client, with its open transaction. ``caller`` names the client in events."""

    tx: Tx
    client: Client
    issuer: Issuer
    upstream_keys: UpstreamKeys
    caller: Caller
    now: datetime


def check_grant(client: Client, grant_type: GrantType) -> None:
    """Refuse a grant that the client is not registered for. Raises ``UnauthorizedClient``."""
    if grant_type not in client.grant_types:
        raise UnauthorizedClient("the client may not use this grant type", reason="grant_type")


def issue_token(
    call: ClientCall, issue: Issue, common: CommonFacts, *, task: Task | None = None, is_new_task: bool = False
) -> IssuedToken:
    """Sign a token, verify it, store it with its event. It serves ``task``; a new one is stored with it.

    Raises ``PartyInactive`` when something that it rests on has just ended, ``TooManyTasks``, ``TooManyTokens`` when
    the budget of the task is spent, ``InvalidRequest`` when the token is larger than a verifier accepts.
    """
    tx, issuer, now = call.tx, call.issuer, call.now
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
    expires_in = claims["exp"] - claims["iat"]
    fault = token_remember(
        tx,
        issue,
        _issued(issue, expires_in),
        new_task=task if is_new_task else None,
        budget=task.budget if task else None,
        caller=call.caller,
        now=now,
    )
    if fault is not None:
        raise _refusal_of(fault)
    return IssuedToken(access_token, expires_in, issue.scopes, issue.authorization_details)


def _refusal_of(fault: str) -> Refusal:
    if fault == "too_many_tasks":
        return TooManyTasks("this actor opened too many tasks; ask again when some have expired", reason=fault)
    if fault in BUDGET_FAULTS:
        return TooManyTokens("the budget of the task does not allow another token", reason=fault)
    return PartyInactive("something that this token rests on has just ended", reason=fault)


def _issued(issue: Issue, expires_in: int) -> Event:
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
            "expires_in": expires_in,
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


@dataclass(frozen=True, slots=True)
class TokenFault:
    """The rule that a presented token fails, and a sentence for its presenter."""

    reason: str
    detail: str


def fault_of_token(
    text: str,
    token: TokenFacts,
    keys: KeySet,
    issuer: Issuer,
    now: datetime,
    *,
    audience: str | None = None,
    may_have_expired: bool = False,
) -> TokenFault | None:
    """Return why a presented token of ours is not valid, or None: what it says as any resource server would verify it,
    and all that it rests on as the database has it now.

    ``audience`` is that of the token unless another is required. With ``may_have_expired`` it is verified as of when it
    was issued; then ``keys`` holds the key that signed it, which may have retired since.
    """
    try:
        verify_own(text, keys, issuer, audience or token.audience, token.issued_at if may_have_expired else now)
    except VerificationError as failed:
        return TokenFault(str(failed.rule), f"the token fails the rule: {failed.rule}")
    reason = inactive_reason(token, now, may_have_expired=may_have_expired)
    return None if reason is None else TokenFault(reason, "the token is no longer good")


def unretired(keys: Iterable[SigningKey], retired_key: SigningKey | None, token: TokenFacts) -> list[SigningKey]:
    """Return the keys that may have signed an expired token: those that verify now, and the one of its ``kid``, unless
    that one had retired before the token was issued.
    """
    is_late = retired_key is None or (
        retired_key.verify_until is not None and retired_key.verify_until <= token.issued_at
    )
    return [*keys, *([] if retired_key is None or is_late else [retired_key])]
