"""Each rule by the one fault that breaks it and nothing else."""

import hmac
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from identity_verifier import (
    Actor,
    Expected,
    Rule,
    VerificationError,
    VerifiedClaims,
    parse_key_set,
    verify_token,
)
from joserfc.jwk import ECKey, OKPKey, RSAKey
from local_issuer import (
    ACTOR,
    AUDIENCE,
    CLAIMS,
    EXPECTED,
    HEADER,
    ISSUER,
    NOW,
    NOW_S,
    RIVAL,
    LocalIssuer,
    chain_of,
    changed_claims,
    encode,
)

SIGNER = LocalIssuer()
KEYS = parse_key_set(SIGNER.key_set())


def verify(token: str, expected: Expected = EXPECTED, now: datetime = NOW) -> VerifiedClaims:
    return verify_token(token, KEYS, expected, now)


def refused_rule(token: str, expected: Expected = EXPECTED) -> Rule:
    with pytest.raises(VerificationError) as refusal:
        verify(token, expected)
    return refusal.value.rule


def test_a_token_without_fault_becomes_typed_claims():
    claims = verify(SIGNER.sign())
    assert (claims.issuer, claims.tenant, claims.audience) == (ISSUER, "acme", AUDIENCE)
    assert (claims.subject, claims.subject_profile) == ("2819c223-7f76", "user")
    assert (claims.client_id, claims.client_profile) == ("agent-7", "ai_agent")
    assert claims.actor == Actor("agent-7", ISSUER, "ai_agent")
    assert [actor.subject for actor in claims.actors] == ["agent-7", "agent-1"]
    assert claims.depth == 2
    assert claims.scopes == ("invoices.read", "invoices.list")
    assert claims.has_scope("invoices.read")
    assert not claims.has_scope("invoices")
    assert claims.authorization_details[0]["type"] == "task_resource_access"
    assert (claims.txn, claims.token_id) == ("tsk_01", "tok_01")
    assert claims.issued_at == NOW
    assert claims.expires_at == NOW + timedelta(seconds=120)
    assert dict(claims.claims) == CLAIMS


def test_how_and_when_the_person_signed_in_is_told_where_the_issuer_says_so():
    told = verify(SIGNER.sign(changed_claims(acr="gold", amr=["pwd", "otp"], auth_time=NOW_S - 60)))
    assert (told.acr, told.amr, told.auth_time) == ("gold", ("pwd", "otp"), NOW - timedelta(seconds=60))
    untold = verify(SIGNER.sign())
    assert (untold.acr, untold.amr, untold.auth_time) == (None, (), None)


def test_an_actor_of_an_upstream_issuer_is_told_with_that_issuer_and_counts_for_depth():
    upstream = {"sub": "broker", "iss": "https://login.example"}
    told = verify(SIGNER.sign(changed_claims(act={**ACTOR, "act": upstream})))
    assert [(actor.subject, actor.issuer) for actor in told.actors] == [
        ("agent-7", ISSUER),
        ("broker", "https://login.example"),
    ]
    too_deep = {**ACTOR, "act": {**ACTOR, "act": {**ACTOR, "act": {**ACTOR, "act": upstream}}}}
    assert refused_rule(SIGNER.sign(changed_claims(act=too_deep))) is Rule.DEPTH


def test_claims_are_read_only_and_not_printed_whole():
    claims = verify(SIGNER.sign(changed_claims(email="sam@acme.example")))
    with pytest.raises(TypeError):
        claims.claims["sub"] = "someone-else"  # type: ignore[index]
    with pytest.raises(AttributeError):
        claims.subject = "someone-else"  # type: ignore[misc]
    assert "sam@acme.example" not in repr(claims)


def test_what_may_be_absent_may_be_absent():
    bare = ("act", "scope", "authorization_details", "txn", "sub_profile", "client_profile")
    claims = verify(SIGNER.sign(changed_claims(**dict.fromkeys(bare, ...))))
    assert claims.actor is None
    assert claims.depth == 0
    assert claims.scopes == claims.authorization_details == ()
    assert claims.txn is claims.subject_profile is claims.client_profile is None


def row_names(rows: list[tuple[dict[str, Any], Rule]]) -> list[str]:
    return [f"{rule}-{number}" for number, (_, rule) in enumerate(rows)]


# One row, one fault. The claims are signed by the right key, so that only the named rule can refuse them.
CLAIM_FAULTS: list[tuple[dict[str, Any], Rule]] = [
    ({"iss": RIVAL}, Rule.ISSUER),
    ({"iss": ISSUER + "/"}, Rule.ISSUER),
    ({"iss": ISSUER.upper()}, Rule.ISSUER),
    ({"iss": [ISSUER]}, Rule.ISSUER),
    ({"iss": ...}, Rule.ISSUER),
    ({"tenant": "rival"}, Rule.TENANT),
    ({"tenant": ""}, Rule.TENANT),
    ({"tenant": None}, Rule.TENANT),
    ({"tenant": ...}, Rule.TENANT),
    ({"aud": "https://hr.example"}, Rule.AUDIENCE),
    ({"aud": AUDIENCE + "/"}, Rule.AUDIENCE),
    ({"aud": [AUDIENCE]}, Rule.AUDIENCE),  # one audience, never a list
    ({"aud": [AUDIENCE, "https://hr.example"]}, Rule.AUDIENCE),
    ({"aud": ...}, Rule.AUDIENCE),
    ({"iat": ...}, Rule.TIMES),
    ({"exp": ...}, Rule.TIMES),
    ({"exp": str(NOW_S + 120)}, Rule.TIMES),
    ({"exp": NOW_S + 120.5}, Rule.TIMES),
    ({"iat": True}, Rule.TIMES),
    ({"exp": True}, Rule.TIMES),
    ({"nbf": None}, Rule.TIMES),
    ({"iat": NOW_S - 150, "exp": NOW_S - 30}, Rule.EXPIRED),  # leeway is 30 s, and not one more
    ({"exp": -(10**400)}, Rule.EXPIRED),
    ({"iat": NOW_S + 31, "exp": NOW_S + 120}, Rule.ISSUED_IN_FUTURE),
    ({"iat": 10**400, "exp": 10**400 + 1}, Rule.ISSUED_IN_FUTURE),
    ({"nbf": NOW_S + 31}, Rule.NOT_YET_VALID),
    ({"exp": NOW_S + 301}, Rule.LIFETIME),
    ({"iat": -(10**400)}, Rule.LIFETIME),
    ({"iat": NOW_S + 20, "exp": NOW_S + 20}, Rule.LIFETIME),
    ({"iat": NOW_S + 20, "exp": NOW_S + 10}, Rule.LIFETIME),
    ({"sub": ...}, Rule.SUBJECT),
    ({"sub": ""}, Rule.SUBJECT),
    ({"sub": 7}, Rule.SUBJECT),
    ({"sub_profile": None}, Rule.SUBJECT),
    ({"client_id": ...}, Rule.CLIENT),
    ({"client_id": ["agent-7"]}, Rule.CLIENT),
    ({"client_profile": 1}, Rule.CLIENT),
    ({"jti": ...}, Rule.TOKEN_ID),
    ({"jti": ""}, Rule.TOKEN_ID),
    ({"txn": ""}, Rule.TASK),
    ({"txn": {"id": "tsk_01"}}, Rule.TASK),
    ({"act": None}, Rule.ACTORS),
    ({"act": "agent-7"}, Rule.ACTORS),
    ({"act": [ACTOR]}, Rule.ACTORS),
    ({"act": {}}, Rule.ACTORS),
    ({"act": {"sub": "agent-7"}}, Rule.ACTORS),
    ({"act": {"iss": ISSUER}}, Rule.ACTORS),
    ({"act": {**ACTOR, "sub": 7}}, Rule.ACTORS),
    ({"act": {**ACTOR, "iss": None}}, Rule.ACTORS),
    ({"act": {**ACTOR, "sub_profile": ["ai_agent"]}}, Rule.ACTORS),
    ({"act": {**ACTOR, "act": None}}, Rule.ACTORS),
    ({"act": {**ACTOR, "act": {**ACTOR, "act": {"sub": "agent-1"}}}}, Rule.ACTORS),
    ({"act": chain_of(5)}, Rule.DEPTH),
    ({"scope": ["invoices.read"]}, Rule.SCOPE),
    ({"scope": None}, Rule.SCOPE),
    ({"scope": "a  b"}, Rule.SCOPE),
    ({"scope": " a"}, Rule.SCOPE),
    ({"scope": "a\tb"}, Rule.SCOPE),
    ({"scope": 'a"b'}, Rule.SCOPE),
    ({"scope": "a\n"}, Rule.SCOPE),
    ({"authorization_details": {"type": "x"}}, Rule.AUTHORIZATION_DETAILS),
    ({"authorization_details": []}, Rule.AUTHORIZATION_DETAILS),  # no authority, or no restriction?
    ({"authorization_details": None}, Rule.AUTHORIZATION_DETAILS),
    ({"authorization_details": ["x"]}, Rule.AUTHORIZATION_DETAILS),
    ({"authorization_details": [{"actions": []}]}, Rule.AUTHORIZATION_DETAILS),
    ({"authorization_details": [{"type": ["x"]}]}, Rule.AUTHORIZATION_DETAILS),
    ({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, Rule.CONFIRMATION),
    ({"cnf": None}, Rule.CONFIRMATION),
    ({"acr": 1}, Rule.AUTHENTICATION),
    ({"acr": ""}, Rule.AUTHENTICATION),
    ({"amr": "pwd"}, Rule.AUTHENTICATION),
    ({"amr": ["pwd", 1]}, Rule.AUTHENTICATION),
    ({"amr": None}, Rule.AUTHENTICATION),
    ({"auth_time": "1"}, Rule.AUTHENTICATION),
    ({"auth_time": 1.5}, Rule.AUTHENTICATION),
    ({"auth_time": True}, Rule.AUTHENTICATION),
    ({"auth_time": -1}, Rule.AUTHENTICATION),
    ({"auth_time": 10**30}, Rule.AUTHENTICATION),
]


@pytest.mark.parametrize(("changed", "rule"), CLAIM_FAULTS, ids=row_names(CLAIM_FAULTS))
def test_a_token_with_one_fault_is_refused_for_that_fault(changed, rule):
    assert refused_rule(SIGNER.sign(changed_claims(**changed))) is rule


@pytest.mark.parametrize(
    "changed",
    [
        {"iat": NOW_S - 149, "exp": NOW_S - 29},
        {"iat": NOW_S + 30, "exp": NOW_S + 150},
        {"nbf": NOW_S + 30},
        {"exp": NOW_S + 300},
        {"act": chain_of(4)},
        {"act": {**ACTOR, "client_id": "agent-7"}},  # what we do not read we do not judge
        {"scope": ""},
    ],
)
def test_at_the_limit_a_token_is_accepted(changed):
    assert verify(SIGNER.sign(changed_claims(**changed))).token_id == "tok_01"


HEADER_FAULTS: list[tuple[dict[str, Any], Rule]] = [
    *[
        ({"typ": typ}, Rule.TYPE)
        for typ in (
            "JWT", "jwt", "id_token", "logout+jwt", "client-authentication+jwt", "dpop+jwt", "secevent+jwt",
            "txntoken+jwt", "oauth-id-jag+jwt", "token-introspection+jwt", "at+JWT", "at+jwt ", "at+jwt\x00",
            "", None, ["at+jwt"], ...,
        )
    ],
    *[
        ({"alg": alg}, Rule.ALGORITHM)
        for alg in ("none", "nOnE", "None", "HS256", "es256", "ES384", "PS256",
            "RS256", "EdDSA", "", None, ["ES256"], ...)
    ],
    ({"crit": ["exp"]}, Rule.CRITICAL),
    ({"crit": []}, Rule.CRITICAL),
    ({"crit": ["b64"], "b64": False}, Rule.CRITICAL),
    *[
        ({"kid": kid}, Rule.KEY)
        for kid in ("k2", "K1", " k1", "", "../../etc/passwd", "' OR 1",
            "k1\x00", None, ["k1"], {"k1": 1}, 1, ...)
    ],
    ({"x": "y" * 512}, Rule.SIZE),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "rule"), HEADER_FAULTS, ids=row_names(HEADER_FAULTS))
def test_a_header_with_one_fault_is_refused_for_that_fault(changed, rule):
    assert refused_rule(SIGNER.sign(**changed)) is rule


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
def test_the_two_spellings_of_an_access_token_are_accepted(typ):
    assert verify(SIGNER.sign(typ=typ)).token_id == "tok_01"


def test_a_key_that_travels_with_the_token_is_never_used(rival):
    brought = {name: value for name, value in rival.public_jwk().items() if name in ("kty", "crv", "x", "y", "kid")}
    assert refused_rule(rival.sign(jwk=brought)) is Rule.SIGNATURE
    assert refused_rule(rival.sign(kid="mine", jwk={**brought, "kid": "mine"})) is Rule.KEY
    for pointer in ("jku", "x5u"):
        assert refused_rule(rival.sign(**{pointer: "https://rival.example/jwks"})) is Rule.SIGNATURE
        assert verify(SIGNER.sign(**{pointer: "https://rival.example/jwks"})).token_id == "tok_01"


def test_a_public_key_used_as_a_shared_secret_is_refused():
    signing_input = f"{encode(HEADER.replace(b'ES256', b'HS256'))}.{encode(json.dumps(CLAIMS).encode())}"
    secret = SIGNER.key.as_pem(private=False)
    forged = hmac.digest(secret, signing_input.encode(), "sha256")
    assert refused_rule(f"{signing_input}.{encode(forged)}") is Rule.ALGORITHM


def test_each_key_verifies_its_own_algorithm_and_no_other():
    signers = [
        LocalIssuer("ec", ECKey.generate_key("P-256"), "ES256"),
        LocalIssuer("rsa", RSAKey.generate_key(2048), "RS256"),
        LocalIssuer("okp", OKPKey.generate_key("Ed25519"), "EdDSA"),
    ]
    keys = parse_key_set({"keys": [signer.public_jwk() for signer in signers]})
    for signer in signers:
        for other in signers:
            token = signer.sign(kid=other.key_id)
            if signer is other:
                assert verify_token(token, keys, EXPECTED, NOW).token_id == "tok_01"
                continue
            with pytest.raises(VerificationError) as refusal:
                verify_token(token, keys, EXPECTED, NOW)
            assert refusal.value.rule is Rule.ALGORITHM


def test_an_algorithm_can_be_left_out_of_the_allowed_ones():
    assert refused_rule(SIGNER.sign(), replace(EXPECTED, algorithms=("EdDSA",))) is Rule.ALGORITHM


def test_a_rival_tenants_token_is_refused_wherever_it_lies(rival):
    honest = rival.sign(changed_claims(iss=RIVAL, tenant="rival"))
    assert refused_rule(honest) is Rule.ISSUER
    rivals_keys = parse_key_set(rival.key_set())
    with pytest.raises(VerificationError) as refusal:
        verify_token(honest, rivals_keys, EXPECTED, NOW)
    assert refusal.value.rule is Rule.ISSUER
    assert refused_rule(rival.sign()) is Rule.SIGNATURE


def test_the_tenant_can_be_named_where_the_issuer_does_not_name_it():
    plain = replace(EXPECTED, issuer="https://id.example", tenant="acme")
    assert verify(SIGNER.sign(changed_claims(iss="https://id.example")), plain).tenant == "acme"
    assert refused_rule(SIGNER.sign(changed_claims(iss="https://id.example", tenant="rival")), plain) is Rule.TENANT
    unnamed = replace(plain, tenant=None)
    assert verify(SIGNER.sign(changed_claims(iss="https://id.example", tenant="rival")), unnamed).tenant == "rival"


def test_limits_of_this_resource_server_are_its_own():
    assert refused_rule(SIGNER.sign(), replace(EXPECTED, max_depth=1)) is Rule.DEPTH
    assert refused_rule(SIGNER.sign(), replace(EXPECTED, max_lifetime_s=60)) is Rule.LIFETIME


def test_a_refusal_never_repeats_the_token():
    for changed, _ in CLAIM_FAULTS:
        token = SIGNER.sign(changed_claims(**{"email": "sam@acme.example", **changed}))
        with pytest.raises(VerificationError) as refusal:
            verify(token)
        assert token.split(".")[2] not in str(refusal.value)
        assert "sam@acme.example" not in str(refusal.value)


def test_a_refusal_on_the_tokens_side_is_not_an_outage():
    with pytest.raises(VerificationError) as refusal:
        verify("")
    assert not refusal.value.is_unavailable


def test_a_naive_instant_is_a_programmers_error():
    with pytest.raises(ValueError, match="aware"):
        verify(SIGNER.sign(), now=datetime(2026, 11, 24, 9, 0))  # noqa: DTZ001  the fault under test


def test_the_instant_may_be_in_any_zone():
    there = NOW.astimezone(timezone.utc).astimezone(datetime.strptime("+0530", "%z").tzinfo)
    assert verify(SIGNER.sign(), now=there).issued_at == NOW


PAY = {"type": "payment", "actions": ["pay"]}
OTHER = {"type": "other", "actions": ["pay"]}


@pytest.mark.parametrize(
    ("scope", "details", "types", "opens"),
    [
        ("pay", ..., (), True),
        ("pay", ..., ("payment",), True),  # nothing restricts
        ("pay", [PAY], ("payment",), True),
        ("pay", [OTHER, PAY], ("payment",), True),
        ("pay", [OTHER], ("payment",), False),  # details, and none that opens this scope
        ("pay", [OTHER], (), True),  # no type restricts this scope
        ("pay", [{**PAY, "actions": ["read"]}], ("payment",), False),
        ("read", [PAY], ("payment",), False),
        ("read", ..., (), False),
        (..., [PAY], ("payment",), True),  # alone
        (..., [PAY], (), False),
        (..., [OTHER], ("payment",), False),
        (..., ..., ("payment",), False),
    ],
)
def test_scopes_and_authorization_details_are_read_together(scope, details, types, opens):
    claims = verify(SIGNER.sign(changed_claims(scope=scope, authorization_details=details)))
    assert claims.opens("pay", types, lambda entry: "pay" in entry["actions"]) is opens
