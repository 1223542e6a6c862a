"""Tokens of upstream issuers are read by an allow-list: each kind is recognised positively, and all else is refused."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx2
import pytest

from identity.model.connection import TokenKind, UpstreamAct, UpstreamPolicy
from tests.fixtures import ERP, EXTERNAL_URL, LOGIN, TYPE, Tenant, TwoTenants, access_token, actors_in, claims_in, trust

NOW = 1_795_510_800
EVERY_KIND = UpstreamPolicy(token_kinds=tuple(TokenKind))
DAY = 86_400


def trade(
    tenant: Tenant, token: str, kind: str = "id_token", agent: str = "invoice-bot", **form: Any
) -> httpx2.Response:
    return tenant.exchange(agent, token, subject_token_type=TYPE + kind, resource=ERP, **form)


def reason(tenant: Tenant, answer: httpx2.Response) -> str | None:
    """Why it was refused; the refusal is the protocol's own, and changed nothing."""
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), answer.text
    assert tenant.last_event().event.type == "oauth.refused"
    return tenant.last_event().event.reason


def trusting(tenant: Tenant, **policy: Any) -> str:
    """Trust the same keys under another issuer, with another policy."""
    issuer = "https://declared.example"
    with tenant.tx() as tx:
        trust(tx, issuer, jwks=tenant.seeded.upstream.jwks, policy=UpstreamPolicy(**policy))
    return issuer


RFC9068: dict[str, Any] = {"client_id": "portal", "jti": "1", "scope": "read"}
KEYCLOAK = {"typ": "Bearer", "azp": "portal", "scope": "openid", "jti": "1", "sid": "s", "realm_access": {"roles": []}}
ENTRA = {"ver": "2.0", "azp": "portal", "scp": "Invoices.Read", "idtyp": "user", "oid": "o", "uti": "u"}
OKTA = {"ver": 1, "jti": "AT.1", "cid": "portal", "uid": "u", "scp": ["read"]}
COGNITO = {"token_use": "access", "client_id": "portal", "scope": "read", "jti": "1"}

TAKEN: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("id_token", {}, {}),
    ("id_token", {"typ": "jwt"}, {}),
    ("id_token", {"typ": ...}, {}),
    ("id_token", {}, {"nonce": "n", "at_hash": "h", "azp": "portal", "auth_time": NOW, "acr": "1", "amr": ["pwd"]}),
    ("id_token", {}, {"typ": "ID", "azp": "portal", "realm_access": {}, "scope": "openid"}),
    ("id_token", {}, {"token_use": "id", "email": "sam@example.com"}),
    ("id_token", {}, {"at_hash": "h", "scope": "openid profile"}),
    ("id_token", {}, {"aud": ["portal"]}),
    ("id_token", {}, {"aud": ["other", "portal"], "azp": "portal"}),
    ("access_token", {"typ": "at+jwt"}, RFC9068),
    ("access_token", {"typ": "AT+JWT"}, RFC9068 | {"scope": ...}),
    ("access_token", {"typ": "application/at+jwt"}, RFC9068 | {"aud": ["portal", "other"]}),
    ("access_token", {"typ": "at+jwt"}, RFC9068 | {"typ": "Bearer"}),
    ("jwt", {"typ": "at+jwt"}, RFC9068),
    ("jwt", {}, {}),
]


@pytest.mark.parametrize(("type_", "header", "claims"), TAKEN)
def test_a_token_of_a_recognised_kind_stands_for_its_person(
    read_only: Tenant, type_: str, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    token = read_only.seeded.upstream.sign(read_only.now, header=header, **claims)
    assert claims_in(access_token(trade(read_only, token, type_)))["sub"] == str(read_only.seeded.sam)


DECLARED: list[tuple[str | Any, Mapping[str, Any]]] = [
    ("JWT", KEYCLOAK), ("at+jwt", KEYCLOAK), ("JWT", ENTRA), (..., OKTA), ("JWT", OKTA), (..., COGNITO),
    ("JWT", {"azp": "portal", "scope": "openid", "gty": "password"}), ("JWT", ENTRA | {"azp": ..., "appid": "portal"}),
]  # fmt: skip


@pytest.mark.parametrize(("typ", "claims"), DECLARED)
def test_access_tokens_that_are_not_of_rfc_9068_are_taken_only_where_the_connection_declares_them(
    acme: Tenant, typ: str, claims: dict[str, Any]
) -> None:
    header = {"typ": typ}
    for type_ in ("access_token", "jwt", "id_token"):
        undeclared = trade(acme, acme.seeded.upstream.sign(acme.now, header=header, **claims), type_)
        assert reason(acme, undeclared) in ("subject_token_kind", "subject_token_type")
    token = acme.seeded.upstream.sign(
        acme.now, header=header, iss=trusting(acme, token_kinds=tuple(TokenKind)), **claims
    )
    assert trade(acme, token, "access_token").status_code == 200
    assert trade(acme, token, "jwt").status_code == 200
    assert reason(acme, trade(acme, token)) in ("subject_token_kind", "subject_token_type"), "it is no ID token"


LOGOUT = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "jti": "1", "sid": "s"}
OF_NO_KIND: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "logout token": ({"typ": "logout+jwt"}, LOGOUT),
    "logout token, typ JWT": ({}, LOGOUT),
    "logout token, no typ": ({"typ": ...}, LOGOUT),
    "logout token, as an access token": ({"typ": "at+jwt"}, RFC9068 | LOGOUT),
    "events that are nothing": ({}, {"events": None}),
    "security event": ({"typ": "secevent+jwt"}, {"events": {}}),
    "security event with toe": ({}, {"toe": NOW}),
    "Keycloak's refresh token": ({}, KEYCLOAK | {"typ": "Refresh"}),
    "Keycloak's refresh token with a nonce": ({}, {"typ": "Refresh", "nonce": "n", "azp": "portal"}),
    "Keycloak's offline token": ({}, KEYCLOAK | {"typ": "Offline"}),
    "Keycloak's logout token": ({}, {"typ": "Logout"}),
    "Keycloak's token bound by DPoP": ({}, KEYCLOAK | {"typ": "DPoP"}),
    "Keycloak's action token": ({}, {"typ": "verify-email"}),
    "refresh, in small letters": ({}, KEYCLOAK | {"typ": "refresh"}),
    "payload type that is no string": ({}, {"typ": ["ID"]}),
    "payload type that is nothing": ({}, {"typ": None}),
    "payload type that is empty": ({}, {"typ": ""}),
    "two payload types": ({}, {"typ": "ID", "token_use": "refresh"}),
    "token_use of Cognito": ({}, {"token_use": "refresh"}),
    "token_type": ({}, {"token_type": "refresh"}),
    "tokenType": ({}, {"tokenType": "refresh_token"}),
    "type": ({}, {"type": "refresh"}),
    "purpose": ({}, {"purpose": "password-reset"}),
    "refresh token of Spring": ({}, {"ati": "a", "client_id": "portal", "scope": "read"}),
    "client assertion": ({"typ": "client-authentication+jwt"}, {"jti": "1"}),
    "key binding": ({"typ": "kb+jwt"}, {"sd_hash": "h", "nonce": "n"}),
    "key binding, typ JWT": ({}, {"sd_hash": "h", "nonce": "n"}),
    "DPoP proof": ({"typ": "dpop+jwt"}, {"htm": "POST", "htu": "https://x", "jti": "1"}),
    "DPoP proof, typ JWT": ({}, {"htm": "POST", "htu": "https://x", "jti": "1"}),
    "introspection": ({"typ": "token-introspection+jwt"}, {"token_introspection": {"active": True}}),
    "introspection, typ JWT": ({}, {"token_introspection": {"active": True}}),
    "request object": ({"typ": "oauth-authz-req+jwt"}, {"response_type": "code"}),
    "request object, typ JWT": ({}, {"response_type": "code", "client_id": "portal"}),
    "authorization response": ({"typ": "oauth-authz-resp+jwt"}, {"code": "c"}),
    "credential": ({"typ": "dc+sd-jwt"}, {"vct": "x"}),
    "credential, typ JWT": ({}, {"vc": {}}),
    "transaction token": ({"typ": "txntoken+jwt"}, {"tctx": {}}),
    "ID-JAG": ({"typ": "oauth-id-jag+jwt"}, {"client_id": "portal", "jti": "1"}),
    "header typ unknown": ({"typ": "x"}, {}),
    "header typ empty": ({"typ": ""}, {}),
    "header typ with a blank": ({"typ": "JWT "}, {}),
    "header typ of a media type": ({"typ": "application/jwt"}, {}),
    "RFC 9068 without client_id": ({"typ": "at+jwt"}, {"jti": "1"}),
    "RFC 9068 with a client_id that is no name": ({"typ": "at+jwt"}, RFC9068 | {"client_id": ["portal"]}),
    "RFC 9068 with an empty client_id": ({"typ": "at+jwt"}, RFC9068 | {"client_id": ""}),
    "RFC 9068 without jti": ({"typ": "at+jwt"}, {"client_id": "portal"}),
    "access token without a client": ({}, {"scope": "read"}),
    "access token without a scope": ({}, {"client_id": "portal"}),
    "access token with an empty scope": ({}, {"azp": "portal", "scope": " "}),
    "access token with a scope that is none": ({}, {"azp": "portal", "scp": [7]}),
    "access token that names its kind as ID token": ({"typ": "at+jwt"}, RFC9068 | {"typ": "ID"}),
}  # fmt: skip


@pytest.mark.parametrize(("header", "claims"), OF_NO_KIND.values(), ids=OF_NO_KIND.keys())
def test_a_token_of_another_kind_is_refused_under_every_subject_token_type(
    acme: Tenant, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    issuer = trusting(acme, token_kinds=tuple(TokenKind))
    token = acme.seeded.upstream.sign(acme.now, header=header, iss=issuer, **claims)
    for type_ in ("id_token", "access_token", "jwt"):
        assert reason(acme, trade(acme, token, type_)) in ("subject_token_kind", "subject_token_type"), type_


CALLED_WRONGLY: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("id_token", {"typ": "at+jwt"}, RFC9068),
    ("id_token", {}, KEYCLOAK),
    ("id_token", {}, RFC9068),
    ("access_token", {}, {}),
    ("access_token", {}, {"at_hash": "h", "azp": "portal", "scope": "openid"}),
    ("access_token", {"typ": ...}, {"nonce": "n"}),
]


@pytest.mark.parametrize(("type_", "header", "claims"), CALLED_WRONGLY)
def test_the_subject_token_type_is_the_kind_that_the_token_is(
    acme: Tenant, type_: str, header: dict[str, Any], claims: dict[str, Any]
) -> None:
    issuer = trusting(acme, token_kinds=tuple(TokenKind))
    token = acme.seeded.upstream.sign(acme.now, header=header, iss=issuer, **claims)
    assert reason(acme, trade(acme, token, type_)) in ("subject_token_kind", "subject_token_type")
    assert trade(acme, token, "jwt").status_code == 200, "as what it is, it is taken"


def test_a_kind_that_the_connection_does_not_declare_is_refused(acme: Tenant) -> None:
    issuer = trusting(acme, token_kinds=(TokenKind.ACCESS_TOKEN,))
    assert reason(acme, trade(acme, acme.id_token(iss=issuer))) == "subject_token_kind"
    assert reason(acme, trade(acme, acme.id_token(iss=issuer), "jwt")) == "subject_token_kind"
    token = acme.seeded.upstream.sign(acme.now, header={"typ": "at+jwt"}, iss=issuer, **RFC9068)
    assert trade(acme, token, "jwt").status_code == 200


FAULTS: list[tuple[Mapping[str, Any], str]] = [
    ({"aud": ["evil", "portal"], "azp": "evil"}, "azp"),
    ({"aud": ["evil", "portal"]}, "azp"),
    ({"aud": ["portal", "portal"]}, "azp"),
    ({"azp": "evil"}, "azp"),
    ({"azp": None}, "azp"),
    ({"azp": ["portal"]}, "azp"),
    ({"azp": ""}, "azp"),
    ({"azp": "Portal"}, "azp"),
    ({"iat": NOW - DAY - 1, "exp": NOW + 1}, "too_old"),
    ({"iat": NOW - 10 * 365 * DAY, "exp": NOW + 100 * 365 * DAY}, "too_old"),
    ({"iat": -(10**400), "exp": NOW + 1}, "too_old"),
    ({"iat": 0}, "too_old"),
    ({"exp": NOW + DAY + 1}, "lifetime"),
    ({"exp": NOW + 100 * 365 * DAY}, "lifetime"),
    ({"iat": NOW + 20, "exp": NOW + 20}, "lifetime"),
    ({"iat": NOW + 0.5, "exp": 10**400}, "lifetime"),
    ({"sub": LOGIN}, "subject"),
    ({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, "bound"),
    ({"cnf": {"x5t#S256": "x"}}, "bound"),
    ({"cnf": None}, "bound"),
    ({"act": {"sub": "other-agent"}}, "act"),
    ({"act": {"sub": "outer", "act": {"sub": "inner"}}}, "act"),
    ({"act": {}}, "act"),
    ({"act": None}, "act"),
]


@pytest.mark.parametrize(("claims", "rule"), FAULTS)
def test_what_an_upstream_token_says_and_cannot_be_honoured_refuses_it(
    read_only: Tenant, claims: dict[str, Any], rule: str
) -> None:
    assert reason(read_only, trade(read_only, read_only.id_token(**claims))) == f"subject_token_{rule}"


def test_an_access_token_of_a_client_itself_is_no_persons(acme: Tenant) -> None:
    issuer = trusting(acme, token_kinds=tuple(TokenKind))
    for claims in (RFC9068 | {"client_id": "ext-sam"}, RFC9068 | {"azp": "ext-sam"}):
        token = acme.seeded.upstream.sign(acme.now, header={"typ": "at+jwt"}, iss=issuer, **claims)
        assert reason(acme, trade(acme, token, "access_token")) == "subject_token_subject"


def test_age_and_lifetime_are_the_connections_own(acme: Tenant) -> None:
    issuer = trusting(acme, max_age_s=600, max_lifetime_s=3_600)
    at_the_limit = {"iss": issuer, "iat": NOW - 600, "exp": NOW + 3_000}
    assert trade(acme, acme.id_token(**at_the_limit)).status_code == 200
    assert reason(acme, trade(acme, acme.id_token(**at_the_limit | {"iat": NOW - 601}))) == "subject_token_too_old"
    assert reason(acme, trade(acme, acme.id_token(**at_the_limit | {"exp": NOW + 3_001}))) == "subject_token_lifetime"


def named(tenant: Tenant, agent: str) -> list[dict[str, Any]]:
    """How ``may_act`` can name an agent so that we can tell."""
    bot = tenant.agent(agent)
    return [
        {"iss": tenant.issuer, "sub": str(bot.id)},
        {"iss": tenant.issuer, "sub": bot.client_id},
        {"sub": bot.client_id},
        {"client_id": bot.client_id},
        {"iss": tenant.issuer, "sub": str(bot.id), "client_id": bot.client_id},
    ]


@pytest.mark.rfc("8693", "4.4")
def test_the_actor_that_may_act_names_is_let(acme: Tenant) -> None:
    for may_act in named(acme, "invoice-bot"):
        assert trade(acme, acme.id_token(may_act=may_act)).status_code == 200, may_act


@pytest.mark.rfc("8693", "4.4")
def test_may_act_refuses_every_actor_that_it_does_not_name(acme: Tenant, rival: Tenant) -> None:
    """What names another agent, what names ours under another issuer, and what cannot be compared."""
    bot, issuer = acme.agent(), acme.issuer
    others: list[Any] = [
        *named(acme, "ocr-bot"),
        {"iss": rival.issuer, "sub": str(bot.id)},
        {"iss": LOGIN, "sub": str(bot.id)},
        {"iss": issuer + "/", "sub": str(bot.id)},
        {"iss": None, "sub": bot.client_id},
        {"sub": str(bot.id)},
        {"iss": issuer},
        {"iss": issuer, "sub": "someone-else"},
        {"iss": issuer, "sub": [str(bot.id)]},
        {"iss": issuer, "sub": {"id": str(bot.id)}},
        {"iss": issuer, "sub": str(bot.id), "email": "bot@example.com"},
        {"iss": issuer, "sub": str(bot.id), "client_id": acme.agent("ocr-bot").client_id},
        {"client_id": None},
        [{"iss": issuer, "sub": str(bot.id)}],
        str(bot.id), {}, [], None, True, 7,
    ]  # fmt: skip
    for may_act in others:
        assert reason(acme, trade(acme, acme.id_token(may_act=may_act))) == "subject_token_may_act", may_act


def test_may_act_names_who_acts_and_not_whose_client_asks(acme: Tenant) -> None:
    """With an actor token of another agent, the client that asks is not the one who acts."""
    form = {"actor_token": acme.own_token("ocr-bot"), "actor_token_type": f"{TYPE}access_token"}
    token = acme.id_token(may_act={"client_id": acme.agent().client_id})
    assert trade(acme, token, **form).status_code == 400


CHAIN = {"sub": "broker", "sub_profile": "ai_agent", "act": {"sub": "front-end", "iss": "https://elsewhere.example"}}
KEPT = CHAIN | {"iss": "https://declared.example"}


@pytest.mark.promise(3)
@pytest.mark.rfc("8693", "4.1")
def test_an_upstream_chain_is_kept_whole_where_the_connection_says_so(acme: Tenant) -> None:
    issuer = trusting(acme, upstream_act=UpstreamAct.KEEP)
    first = access_token(trade(acme, acme.id_token(iss=issuer, act=CHAIN)))
    bot, ocr = ({"sub": str(acme.agent(name).id), "iss": acme.issuer, "sub_profile": "ai_agent"}
                for name in ("invoice-bot", "ocr-bot"))  # fmt: skip
    assert claims_in(first)["act"] == bot | {"act": KEPT}
    issued = acme.last_event().event
    assert issued.detail["upstream_act"] == KEPT
    assert issued.actor_ids == (acme.agent().id,), "the upstream's parties are none of ours"
    second = acme.task_token("ocr-bot", first)
    assert claims_in(second)["act"] == ocr | {"act": bot | {"act": KEPT}}
    assert acme.introspect(second)["act"] == ocr | {"act": bot | {"act": KEPT}}
    assert acme.introspect(second)["active"] is True


@pytest.mark.promise(3)
def test_the_upstream_chain_counts_for_depth(acme: Tenant) -> None:
    issuer = trusting(acme, upstream_act=UpstreamAct.KEEP)

    def deep(links: int) -> dict[str, Any]:
        return {"sub": f"link-{links}"} | ({"act": deep(links - 1)} if links > 1 else {})

    third = access_token(trade(acme, acme.id_token(iss=issuer, act=deep(3))))
    assert len(actors_in(third)) == 4
    assert acme.exchange("ocr-bot", third).status_code == 400
    assert acme.last_event().event.reason == "depth_exceeded", "a fifth actor"
    for links in (4, 5, 8):
        assert reason(acme, trade(acme, acme.id_token(iss=issuer, act=deep(links)))) == "depth_exceeded"
    assert reason(acme, trade(acme, acme.id_token(iss=issuer, act=deep(9)))) == "subject_token_act"
    assert acme.exchange("invoice-bot", third).status_code == 200, "narrowing adds no actor"


def test_a_delegation_limits_the_actors_that_come_after_it_and_not_those_of_the_upstream(acme: Tenant) -> None:
    issuer = trusting(acme, upstream_act=UpstreamAct.KEEP)
    acme.sql("UPDATE delegations SET max_depth = 1 WHERE tenant_id = :tenant")
    first = access_token(trade(acme, acme.id_token(iss=issuer, act=CHAIN)))
    assert acme.exchange("ocr-bot", first).status_code == 400
    assert acme.last_event().event.reason == "depth_exceeded"


def test_an_upstream_link_is_well_formed_and_no_issuer_of_ours(acme: Tenant, rival: Tenant) -> None:
    issuer = trusting(acme, upstream_act=UpstreamAct.KEEP)
    ours = [
        acme.issuer, rival.issuer, acme.issuer + "/", acme.issuer.upper(), f"{EXTERNAL_URL}:443/t/acme",
        "http://identity.example/t/acme", f"{EXTERNAL_URL}//t/acme", f"{EXTERNAL_URL}/t/%61cme",
        f"{EXTERNAL_URL}/%74/acme",
        f"{EXTERNAL_URL}/x/../t/acme", "https://identity.example./t/acme", "https://u@identity.example/t/acme",
        "//identity.example/t/acme", "identity.example/t/acme", f"{EXTERNAL_URL}/t/acme?x", f"{EXTERNAL_URL}\\t\\acme",
    ]  # fmt: skip
    malformed: list[Any] = [
        {}, [], "broker", None, True, {"iss": LOGIN}, {"sub": ""}, {"sub": 7}, {"sub": ["a"]}, {"sub": "a\x01b"},
        {"sub": "a\nb"}, {"sub": "a" * 513}, {"sub": "a", "iss": ""}, {"sub": "a", "iss": None}, {"sub": "a", "iss": 7},
        {"sub": "a", "iss": "https://\u0456dentity.example"}, {"sub": "a", "act": None}, {"sub": "a", "act": []},
        {"sub": "a", "act": {"sub": ""}}, {"sub": "a", "sub_profile": 7}, {"sub": "a", "more": {"sub": "b"}},
        {"sub": "a", "more": ["b"]}, {"sub": "a", "more": "\x01"}, {"sub": "a", "\x01": 1},
        {"sub": "a", "more": "b" * 2_100},
    ]  # fmt: skip
    for act in (*({"sub": "a", "iss": iss} for iss in ours), *malformed):
        assert reason(acme, trade(acme, acme.id_token(iss=issuer, act=act))) == "subject_token_act", act
        nested = {"sub": "outer", "act": act}
        assert reason(acme, trade(acme, acme.id_token(iss=issuer, act=nested))) == "subject_token_act", act
    assert trade(acme, acme.id_token(iss=issuer, act={"sub": str(acme.agent().id)})).status_code == 200


def test_an_upstream_link_with_an_id_of_ours_is_not_that_principal(acme: Tenant) -> None:
    issuer = trusting(acme, upstream_act=UpstreamAct.KEEP)
    ocr = acme.agent("ocr-bot")
    first = access_token(trade(acme, acme.id_token(iss=issuer, act={"sub": str(ocr.id)})))
    assert claims_in(first)["act"]["act"] == {"sub": str(ocr.id), "iss": issuer}
    assert acme.exchange(ocr, first).status_code == 200, "it is not in the chain yet"
    assert str(ocr.id) not in map(str, acme.last_event().event.actor_ids[1:])
    assert [UUID(actor) for actor in actors_in(first)][:1] == [acme.agent().id]


SIGN_IN = {"acr": "urn:mace:incommon:iap:silver", "amr": ["pwd", "otp"], "auth_time": NOW - 300}


def test_how_and_when_a_person_signed_in_is_told_through_the_whole_chain(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    first = access_token(trade(acme, acme.id_token(**SIGN_IN)))
    two_tenants.clock.forward(10)
    second = acme.task_token("ocr-bot", first)
    narrowed = acme.task_token("ocr-bot", second, scope="invoices.read")
    for token in (first, second, narrowed):
        assert {name: claims_in(token).get(name) for name in SIGN_IN} == SIGN_IN
        assert {name: acme.introspect(token).get(name) for name in SIGN_IN} == SIGN_IN
    assert not SIGN_IN.keys() & claims_in(acme.own_token("ocr-bot")).keys()
    without = access_token(acme.exchange("invoice-bot"))
    assert not SIGN_IN.keys() & claims_in(without).keys(), "what the upstream did not say, we do not"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        *(("acr", value) for value in (1, "", None, ["a"], "a" * 257, "a\x01", {"a": 1})),
        *(("amr", value) for value in ("pwd", [1], [""], ["a\n"], ["a" * 65], ["a"] * 17, {}, None, ["pwd", None])),
        *(("auth_time", value) for value in ("1795510800", True, -1, NOW + 31, 10**400, None, [NOW])),
    ],
)
def test_a_sign_in_that_is_not_well_told_is_not_told(read_only: Tenant, claim: str, value: Any) -> None:
    token = claims_in(access_token(trade(read_only, read_only.id_token(**SIGN_IN | {claim: value}))))
    assert {name: token.get(name) for name in SIGN_IN} == SIGN_IN | {claim: None}
