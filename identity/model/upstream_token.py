"""The rules for a token of an upstream issuer: its kind is recognised by an allow-list, or it is refused."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard
from uuid import UUID

from identity.model.connection import Connection, TokenKind, UpstreamAct
from identity.model.upstream_act import chain_of, depth_of

LEEWAY_S = 30
ACR_LENGTH_MAX = 256
AMR_MAX = 16
AMR_LENGTH_MAX = 64

ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
JWT = "urn:ietf:params:oauth:token-type:jwt"
KINDS_OF_TYPE: Mapping[str, frozenset[TokenKind]] = {
    ID_TOKEN: frozenset({TokenKind.ID_TOKEN}),
    ACCESS_TOKEN: frozenset({TokenKind.ACCESS_TOKEN, TokenKind.JWT_ACCESS_TOKEN}),
    JWT: frozenset(TokenKind),
}
"""The kinds that a ``subject_token_type`` stands for (RFC 8693 §3)."""

PLAIN_TYPES = frozenset({None, "jwt"})
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
TYPES_OF_KIND: Mapping[TokenKind, frozenset[str | None]] = {
    TokenKind.ID_TOKEN: PLAIN_TYPES,
    TokenKind.ACCESS_TOKEN: ACCESS_TOKEN_TYPES,
    TokenKind.JWT_ACCESS_TOKEN: PLAIN_TYPES | ACCESS_TOKEN_TYPES,
}
"""The header's ``typ``, in small letters; None where there is none (RFC 7515 §4.1.9)."""

ID_NAMES = frozenset({"id", "idtoken"})
ACCESS_NAMES = frozenset({"bearer", "access", "accesstoken"})
NAMES_OF_KIND: Mapping[TokenKind, frozenset[str]] = {
    TokenKind.ID_TOKEN: ID_NAMES,
    TokenKind.ACCESS_TOKEN: ACCESS_NAMES,
    TokenKind.JWT_ACCESS_TOKEN: ACCESS_NAMES,
}
"""The values of a claim that names the token's kind: Keycloak's ``typ`` (``ID``, ``Bearer``; not ``Refresh``,
``Offline`` or ``Logout``), Cognito's ``token_use`` (``id``, ``access``), and the like of other issuers."""
NAMING_CLAIMS = frozenset(
    {"typ", "type", "kind", "use", "usage", "purpose", "tokentyp", "tokentype", "tokenkind", "tokenuse"}
)

CLAIMS_OF_OTHER_KINDS = frozenset(
    {
        *("events", "toe"),  # logout tokens (OpenID Connect Back-Channel Logout §2.4), security events (RFC 8417)
        *("htm", "htu", "ath"),  # DPoP proofs (RFC 9449)
        *("sd_hash", "_sd", "_sd_alg", "vct", "vc", "vp"),  # key binding and credentials (RFC 9901, W3C)
        "token_introspection",  # answers of introspection (RFC 9701)
        *("response_type", "redirect_uri", "code_challenge"),  # request objects (RFC 9101)
        *("redirect_uris", "software_id", "jwks", "authority_hints"),  # software and entity statements
        *("tctx", "rctx"),  # transaction tokens
        "ati",  # refresh tokens of Spring Security
    }
)
ID_TOKEN_MARKS = frozenset({"at_hash", "c_hash"})  # OpenID Connect Core §3.1.3.6, §3.3.2.11: of no other kind
ACCESS_TOKEN_MARKS = frozenset({"scope", "scp", "client_id", "cid", "appid", "gty"})
CLIENT_CLAIMS = ("client_id", "azp", "appid", "cid")
"""Where access tokens name their client: RFC 9068, Keycloak and Entra, Entra's first version, Okta."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The claims of an upstream token that ours keep through the whole chain.

    ``act`` is the upstream's own chain, each link with its ``iss``: parties of the upstream, and none of ours.
    """

    acr: str | None = None
    amr: tuple[str, ...] = ()
    auth_time: int | None = None
    act: Mapping[str, Any] | None = None

    @property
    def depth(self) -> int:
        """How many actors the upstream named."""
        return depth_of(self.act)


@dataclass(frozen=True, slots=True)
class Acting:
    """The actor to be: the tenant's issuer, the principal, and its client where that one makes the request."""

    issuer: str
    actor_id: UUID | None
    client_id: str | None


def type_of(header: Mapping[str, Any]) -> str | None:
    """Return the header's ``typ`` in small letters; for a value that is no string, one of no known type."""
    if "typ" not in header:
        return None
    named = header["typ"]
    return named.lower() if isinstance(named, str) else ""


def may_be_of_type(header: Mapping[str, Any], token_type: str) -> bool:
    """True when the header's ``typ`` fits the ``subject_token_type``."""
    return any(type_of(header) in TYPES_OF_KIND[kind] for kind in KINDS_OF_TYPE[token_type])


def kind_of(header: Mapping[str, Any], claims: Mapping[str, Any], kinds: frozenset[TokenKind]) -> TokenKind | None:
    """Return which of ``kinds`` a token is; None for another kind, and for a claim of another kind."""
    if not CLAIMS_OF_OTHER_KINDS.isdisjoint(claims):
        return None
    return next((kind for kind, is_one in RECOGNISED.items() if kind in kinds and is_one(header, claims)), None)


def is_id_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """True for an ID token (OpenID Connect Core §2): with claims of an access token only where a claim names it one."""
    names = _names_of_kind(claims)
    says_so = bool(names & ID_NAMES) or not ID_TOKEN_MARKS.isdisjoint(claims)
    return _may_be(TokenKind.ID_TOKEN, header, names) and (says_so or ACCESS_TOKEN_MARKS.isdisjoint(claims))


def is_rfc9068_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """True for ``typ`` ``at+jwt`` with ``client_id`` and ``jti`` (RFC 9068 §2.2)."""
    is_one = _may_be(TokenKind.ACCESS_TOKEN, header, _names_of_kind(claims))
    return is_one and _is_name(claims.get("client_id")) and _is_name(claims.get("jti"))


def is_jwt_access_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """True for a token with a client and a scope, as Entra, Keycloak, Okta and Auth0 issue them for a person."""
    is_one = _may_be(TokenKind.JWT_ACCESS_TOKEN, header, _names_of_kind(claims))
    has_client = any(_is_name(claims.get(claim)) for claim in CLIENT_CLAIMS)
    return is_one and has_client and _has_scope(claims) and ID_TOKEN_MARKS.isdisjoint(claims)


RECOGNISED = {
    TokenKind.ID_TOKEN: is_id_token,
    TokenKind.ACCESS_TOKEN: is_rfc9068_token,
    TokenKind.JWT_ACCESS_TOKEN: is_jwt_access_token,
}


def _may_be(kind: TokenKind, header: Mapping[str, Any], names: frozenset[str]) -> bool:
    return type_of(header) in TYPES_OF_KIND[kind] and names <= NAMES_OF_KIND[kind]


def _names_of_kind(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the values of all claims that name the token's kind, in one spelling; "" for one that is no string."""
    said = [value for claim, value in claims.items() if _plain(claim) in NAMING_CLAIMS]
    return frozenset(_plain(value) if isinstance(value, str) else "" for value in said)


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _has_scope(claims: Mapping[str, Any]) -> bool:
    scopes = claims.get("scope", claims.get("scp"))
    if isinstance(scopes, list):
        return bool(scopes) and all(map(_is_name, scopes))
    return isinstance(scopes, str) and bool(scopes.strip())


def fault_of(
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    token_type: str,
    connection: Connection,
    acting: Acting,
    now: datetime,
) -> str | None:
    """Return the first rule that the claims of a signed token fail, if any (OpenID Connect Core §3.1.3.7, RFC 9068 §4).

    Times are compared and never subtracted: a number in JSON may be of any size.
    """
    second, policy = now.timestamp(), connection.policy
    subject, audiences = claims.get(connection.subject_claim or "sub"), _names(claims.get("aud"))
    kind = kind_of(header, claims, KINDS_OF_TYPE[token_type] & frozenset(policy.token_kinds))
    exp, iat, nbf = (claims.get(claim, 0) for claim in ("exp", "iat", "nbf"))
    rules: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: claims.get("iss") == connection.issuer, "issuer"),
        (lambda: not set(audiences).isdisjoint(connection.audiences), "audience"),
        (lambda: _is_time(claims.get("exp")) and _is_time(claims.get("iat")), "times"),
        (lambda: exp > second, "expired"),
        (lambda: iat <= second + LEEWAY_S, "issued_in_future"),
        (lambda: _is_time(nbf) and nbf <= second + LEEWAY_S, "not_yet_valid"),
        (lambda: iat + policy.max_age_s >= second, "too_old"),
        (lambda: iat < exp <= iat + policy.max_lifetime_s, "lifetime"),
        (lambda: _is_name(subject) and _is_name(claims.get("sub")), "subject"),
        (lambda: claims["sub"] not in _clients_named(claims, connection), "subject"),
        (lambda: "cnf" not in claims, "bound"),
        (lambda: kind is not None, "kind"),
        (lambda: kind is not TokenKind.ID_TOKEN or _is_authorized_party(claims, audiences, connection), "azp"),
        (lambda: "may_act" not in claims or names_actor(claims["may_act"], acting), "may_act"),
        (lambda: "act" not in claims or _upstream_chain(claims, connection, acting) is not None, "act"),
    )
    return next((rule for is_kept, rule in rules if not is_kept()), None)


def _clients_named(claims: Mapping[str, Any], connection: Connection) -> tuple[object, ...]:
    """Return the names that are no person's: a token of that ``sub`` is an assertion, or a client's own."""
    return (connection.issuer, *(claims.get(claim) for claim in CLIENT_CLAIMS))


def _is_authorized_party(claims: Mapping[str, Any], audiences: list[str], connection: Connection) -> bool:
    """True when ``azp`` is an accepted audience, or absent beside a single one (OpenID Connect Core §3.1.3.7)."""
    if "azp" in claims:
        return claims["azp"] in connection.audiences
    return len(audiences) == 1


def names_actor(may_act: object, acting: Acting) -> bool:
    """True when ``may_act`` names the actor, by our issuer and the principal's id, or by the client's id.

    A member that cannot be compared names another party (RFC 8693 §4.4).
    """
    if not isinstance(may_act, Mapping) or not may_act.keys() <= {"iss", "sub", "client_id"}:
        return False
    is_of_ours = may_act.get("iss", acting.issuer) == acting.issuer
    principal = (str(acting.actor_id),) if "iss" in may_act and acting.actor_id else ()
    client = (acting.client_id,) if acting.client_id else ()
    named = [(may_act[member], allowed) for member, allowed in (("sub", principal + client), ("client_id", client))
             if member in may_act]  # fmt: skip
    return is_of_ours and bool(named) and all(name in allowed for name, allowed in named)


def _upstream_chain(claims: Mapping[str, Any], connection: Connection, acting: Acting) -> Mapping[str, Any] | None:
    if connection.policy.upstream_act is not UpstreamAct.KEEP:
        return None
    return chain_of(claims["act"], upstream_issuer=str(connection.issuer), own_issuer=acting.issuer)


def upstream_of(claims: Mapping[str, Any], connection: Connection, acting: Acting, now: datetime) -> Upstream:
    """Return the claims that our tokens keep of a token without fault: of the person's sign-in, and of its actors.

    A value that is malformed or too long is left out.
    """
    acr, auth_time = claims.get("acr"), claims.get("auth_time", -1)
    is_past = _is_time(auth_time) and 0 <= auth_time <= now.timestamp() + LEEWAY_S
    return Upstream(
        acr=acr if _is_word(acr, ACR_LENGTH_MAX) else None,
        amr=_methods_in(claims.get("amr")),
        auth_time=int(auth_time) if is_past else None,
        act=_upstream_chain(claims, connection, acting) if "act" in claims else None,
    )


def _methods_in(amr: object) -> tuple[str, ...]:
    methods = amr if isinstance(amr, list) and len(amr) <= AMR_MAX else []
    return tuple(methods) if all(_is_word(method, AMR_LENGTH_MAX) for method in methods) else ()


def _is_word(value: object, length_max: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= length_max and value.isprintable()


def _names(audience: object) -> list[str]:
    names = audience if isinstance(audience, list) else [audience]
    strings = [name for name in names if isinstance(name, str)]
    return strings if len(strings) == len(names) else []


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
