"""The claims of our access tokens (RFC 9068 §2.2, RFC 8693 §4.1, OAuth Actor Profile). A new claim goes here."""

from collections.abc import Mapping, Sequence
from typing import Any

from identity.model.principal import SUB_PROFILE
from identity.model.token import Issue, Party
from identity.model.upstream_token import Upstream


def claims_of(issue: Issue, *, issuer: str, tenant: str) -> dict[str, Any]:
    """Return the claims of a token about to be signed. ``act`` holds every actor, the present one outermost."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "tenant": tenant,
        **subject_of(issue),
        "aud": issue.audience,
        "client_id": issue.client_id,
        "iat": int(issue.issued_at.timestamp()),
        "exp": int(issue.expires_at.timestamp()),
        "jti": str(issue.jti),
    }
    if issue.scopes:  # an empty one is outside the grammar of RFC 6749 §3.3
        claims["scope"] = " ".join(issue.scopes)
    if issue.actors:
        claims["act"] = act_of(issue.actors, issuer, issue.upstream)
        claims["client_profile"] = SUB_PROFILE[issue.actors[0].kind]
    if issue.txn is not None:
        claims["txn"] = str(issue.txn)
    if issue.authorization_details:
        claims["authorization_details"] = [dict(entry) for entry in issue.authorization_details]
    return claims | sign_in_of(issue.upstream)


def sign_in_of(upstream: Upstream | None) -> dict[str, Any]:
    """Return the claims of the upstream about the person's sign-in (OpenID Connect Core §2) that it made."""
    if upstream is None:
        return {}
    claims = {"acr": upstream.acr, "amr": list(upstream.amr) or None, "auth_time": upstream.auth_time}
    return {claim: value for claim, value in claims.items() if value is not None}


def subject_of(issue: Issue) -> Mapping[str, str]:
    """Return ``sub`` and ``sub_profile`` of the subject; without one, the client as ``sub`` (RFC 9068 §2.2)."""
    if issue.subject is None:
        return {"sub": issue.client_id}
    return {"sub": str(issue.subject.id), "sub_profile": SUB_PROFILE[issue.subject.kind]}


def act_of(actors: Sequence[Party], issuer: str, upstream: Upstream | None = None) -> Mapping[str, Any]:
    """Return the nested ``act`` of a chain, the first actor outermost; no link is ever dropped.

    The upstream's own actors, if it named any, came before all of ours and are innermost.
    """
    act: dict[str, Any] = dict(upstream.act) if upstream and upstream.act else {}
    for actor in reversed(actors):
        link: dict[str, Any] = {"sub": str(actor.id), "iss": issuer, "sub_profile": SUB_PROFILE[actor.kind]}
        act = link | ({"act": act} if act else {})
    return act
