"""Trading a person's token for a task token (RFC 8693)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from identity.actions.connections import create_scim_connection, end_connection
from identity.actions.provisioning import create_principal, delete_principal
from identity.model.access import Caller, CallerKind
from identity.model.connection import Dialect
from identity.model.lifecycle import Transition
from identity.model.principal import Kind, Profile
from tests.fixtures import (
    ADMINISTRATOR,
    CRM,
    DETAILS,
    ERP,
    EXTERNAL_URL,
    LOGIN,
    SCOPES,
    TYPE,
    Tenant,
    TwoTenants,
    access_token,
    claims_in,
    directory,
    let_act,
    provision,
    trust,
)


@pytest.mark.rfc("8693", "2.2.1")
def test_a_persons_id_token_becomes_a_task_token(acme: Tenant) -> None:
    bot = acme.agent()
    answer = acme.exchange(bot)
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["issued_token_type"] == f"{TYPE}access_token"
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 120)
    assert body["scope"] == " ".join(SCOPES)
    assert body["authorization_details"] == list(DETAILS)
    assert "refresh_token" not in body
    claims = claims_in(body["access_token"])
    assert claims.keys() == {
        "iss", "tenant", "sub", "sub_profile", "aud", "client_id", "client_profile", "act", "scope",
        "authorization_details", "txn", "iat", "exp", "jti",
    }  # fmt: skip
    assert (claims["iss"], claims["tenant"], claims["aud"]) == (acme.issuer, "acme", ERP)
    assert (claims["sub"], claims["sub_profile"]) == (str(acme.seeded.sam), "user")
    assert claims["act"] == {"sub": str(bot.id), "iss": acme.issuer, "sub_profile": "ai_agent"}
    assert claims["exp"] - claims["iat"] == body["expires_in"]


UPSTREAM_FAULTS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"typ": "at+jwt"}, "subject_token_type"),  # an access token is no ID token
    ({}, {"typ": "logout+jwt"}, "subject_token_type"),
    ({}, {"typ": "client-authentication+jwt"}, "subject_token_type"),
    ({}, {"typ": "secevent+jwt"}, "subject_token_type"),
    ({}, {"crit": ["b64"], "b64": True}, "subject_token_critical"),
    ({}, {"kid": "login-2"}, "subject_token_key"),
    ({}, {"kid": ""}, "subject_token_key"),
    ({"iss": "https://evil.example"}, {}, "subject_token_issuer"),
    ({"iss": LOGIN + "/"}, {}, "subject_token_issuer"),
    ({"iss": LOGIN.upper()}, {}, "subject_token_issuer"),
    ({"iss": EXTERNAL_URL + "/t/rival"}, {}, "subject_token_issuer"),
    ({"iss": ["https://login.example"]}, {}, "subject_token_issuer"),
    ({"iss": ...}, {}, "subject_token_issuer"),
    ({"aud": "another portal"}, {}, "subject_token_audience"),
    ({"aud": []}, {}, "subject_token_audience"),
    ({"aud": ["portal", 7]}, {}, "subject_token_audience"),
    ({"aud": {"portal": True}}, {}, "subject_token_audience"),
    ({"aud": ...}, {}, "subject_token_audience"),
    ({"exp": ...}, {}, "subject_token_times"),
    ({"iat": ...}, {}, "subject_token_times"),
    ({"exp": "2999"}, {}, "subject_token_times"),
    ({"exp": True}, {}, "subject_token_times"),
    ({"exp": 1_795_510_800}, {}, "subject_token_expired"),
    ({"exp": 1_795_510_799.5}, {}, "subject_token_expired"),
    ({"exp": 0}, {}, "subject_token_expired"),
    ({"exp": -(10**300)}, {}, "subject_token_expired"),
    ({"iat": 1_795_510_831}, {}, "subject_token_issued_in_future"),
    ({"iat": 10**300}, {}, "subject_token_issued_in_future"),
    ({"exp": 10**300}, {}, "subject_token_lifetime"),
    ({"exp": 1e308}, {}, "subject_token_lifetime"),
    ({"nbf": 1_795_510_831}, {}, "subject_token_not_yet_valid"),
    ({"nbf": "now"}, {}, "subject_token_not_yet_valid"),
    ({"sub": ...}, {}, "subject_token_subject"),
    ({"sub": 7}, {}, "subject_token_subject"),
    ({"sub": ""}, {}, "subject_token_subject"),
    ({"sub": "ext-nobody"}, {}, "subject_unknown"),
    ({"sub": "EXT-SAM"}, {}, "subject_unknown"),
    ({"sub": "ext-sam "}, {}, "subject_unknown"),
    ({"sub": "ext-invoice-bot"}, {}, "subject_unknown"),  # an agent is no person
    ({"sub": "ext-Finance"}, {}, "subject_unknown"),
]


@pytest.mark.parametrize(("claims", "header", "reason"), UPSTREAM_FAULTS)
def test_an_upstream_token_with_one_fault_is_refused_for_that_fault(
    read_only: Tenant, claims: dict[str, Any], header: dict[str, Any], reason: str
) -> None:
    token = read_only.seeded.upstream.sign(read_only.now, header=header, **claims)
    answer = read_only.exchange("invoice-bot", token, subject_token_type=f"{TYPE}id_token", resource=ERP)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert read_only.last_event().event.reason == reason


@pytest.mark.parametrize("exp", [1_795_510_900, 1_795_510_900.5, 1_795_510_800 + 86_400])
def test_a_token_does_not_outlive_the_upstream_token(read_only: Tenant, exp: float) -> None:
    answer = read_only.exchange(
        "invoice-bot", read_only.id_token(exp=exp), subject_token_type=f"{TYPE}id_token", resource=ERP
    )
    assert answer.json()["expires_in"] == min(exp - 1_795_510_800, 120) // 1


def test_a_key_in_the_header_or_the_wrong_key_signs_nothing(acme: Tenant, rival: Tenant) -> None:
    forged = rival.id_token()
    answer = acme.exchange("invoice-bot", forged, subject_token_type=f"{TYPE}id_token", resource=ERP)
    assert answer.json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_token_signature"
    jwk = rival.seeded.upstream.key.as_dict(private=False)
    with_jwk = rival.seeded.upstream.sign(acme.now, header={"jwk": jwk})
    acme.exchange("invoice-bot", with_jwk, subject_token_type=f"{TYPE}id_token", resource=ERP)
    assert acme.last_event().event.reason == "subject_token_signature"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"resource": ...}, "invalid_target"),
        ({"resource": "https://nobody.example"}, "invalid_target"),
        ({"resource": CRM}, "invalid_request"),  # known, and nobody delegated anything there
        ({"resource": ERP, "audience": CRM}, "invalid_target"),
        ({"scope": "invoices.void"}, "invalid_scope"),
        ({"scope": "invoices.read invoices.void"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"authorization_details": "{"}, "invalid_authorization_details"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"authorization_details": "null"}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": " [ ] "}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps(DETAILS * 2)}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([DETAILS[0] | {"or": {}}])}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"order"}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"invoice"}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"invoice","actions":[],"constraints":{"max_amount":500}}]'},
         "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"invoice","actions":["read"],"constraints":{"max_amount":501}}]'},
         "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"invoice","type":"invoice"}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[],"details":[]'}, "invalid_authorization_details"),
        ({"authorization_details": '[],"more":[]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"\\u0000"}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"\\ud800"}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"a","n":1e999}]'}, "invalid_authorization_details"),
        ({"authorization_details": "[" * 5_000}, "invalid_authorization_details"),
        ({"authorization_details": json.dumps([DETAILS[0] | {"pad": "x" * 3_000}] * 20)},
         "invalid_authorization_details"),
        ({"requested_token_type": f"{TYPE}refresh_token"}, "invalid_request"),
        ({"requested_token_type": f"{TYPE}id_token"}, "invalid_request"),
        ({"subject_token_type": f"{TYPE}refresh_token"}, "invalid_request"),
        ({"subject_token_type": f"{TYPE}saml2"}, "invalid_request"),
        ({"subject_token_type": ...}, "invalid_request"),
        ({"subject_token": ...}, "invalid_request"),
        ({"subject_token": "a.b.c"}, "invalid_request"),
        ({"subject_token": "x" * 16_385}, "invalid_request"),
        ({"actor_token": "a.b.c"}, "invalid_request"),
        ({"actor_token": "a.b.c", "actor_token_type": f"{TYPE}id_token"}, "invalid_request"),
        ({"actor_token_type": f"{TYPE}access_token"}, "invalid_request"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_the_error_of_its_standard(
    read_only: Tenant, form: dict[str, Any], error: str
) -> None:
    answer = read_only.exchange("invoice-bot", **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert read_only.last_event().event.outcome == "refused"


def test_less_may_be_asked_and_no_more_is_given(acme: Tenant) -> None:
    wanted = [{"type": "invoice", "actions": ["read"], "constraints": {"max_amount": 100}}]
    answer = acme.exchange("invoice-bot", scope="invoices.read", authorization_details=json.dumps(wanted))
    assert answer.json()["scope"] == "invoices.read"
    assert answer.json()["authorization_details"] == wanted
    for form in (
        {"scope": "invoices.pay"},
        {"authorization_details": json.dumps(DETAILS)},
        {"authorization_details": "[]"},
    ):
        again = acme.exchange("invoice-bot", access_token(answer), **form)
        assert again.status_code == 400, "what was given up does not come back"


def test_audience_says_the_same_as_resource(acme: Tenant) -> None:
    claims = claims_in(acme.task_token(resource=..., audience=ERP))
    assert claims["aud"] == ERP
    assert claims_in(acme.task_token(resource=ERP, audience=ERP))["aud"] == ERP


@pytest.mark.parametrize("requested", [f"{TYPE}access_token", f"{TYPE}jwt"])
def test_the_token_that_is_issued_is_an_access_token(acme: Tenant, requested: str) -> None:
    answer = acme.exchange("invoice-bot", requested_token_type=requested)
    assert answer.json()["issued_token_type"] == f"{TYPE}access_token"


def test_a_person_outside_the_group_is_not_acted_for(acme: Tenant) -> None:
    with acme.tx() as tx:
        provision(tx, Kind.USER, "eve")
    answer = acme.exchange("invoice-bot", person="eve")
    assert answer.json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "not_delegated"


def namesake(tenant: Tenant) -> None:
    """Let another source make a user with Sam's externalId."""
    with tenant.tx() as tx:
        other = create_scim_connection(
            tx, name="other", dialect=Dialect.RFC, token="t" * 40, caller=ADMINISTRATOR, now=tenant.now
        )
        source = Caller(CallerKind.CONNECTION, str(other.id), "r" * 8, connection_id=other.id)
        profile = Profile(document={"active": True}, name="sam2", external_id="ext-sam")
        create_principal(tx, Kind.USER, profile, caller=source, now=tenant.now)


def test_a_namesake_made_by_another_source_does_not_lock_a_person_out(acme: Tenant, rival: Tenant) -> None:
    """Whom an externalId names is whom the connection's own source provisioned."""
    for tenant in (acme, rival):
        namesake(tenant)
        assert claims_in(tenant.task_token())["sub"] == str(tenant.seeded.sam)


def test_a_claim_that_names_two_people_is_refused_where_the_connection_names_no_source(acme: Tenant) -> None:
    """Such connections were made before that was required."""
    acme.sql("UPDATE connections SET provisioned_by = NULL WHERE tenant_id = :tenant AND kind = 'oidc'")
    assert acme.exchange("invoice-bot").status_code == 200
    namesake(acme)
    assert acme.exchange("invoice-bot").json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_ambiguous"


def test_people_stay_and_are_named_when_the_connection_that_provisioned_them_has_ended(acme: Tenant) -> None:
    with acme.tx() as tx:
        end_connection(tx, directory(tx).id, caller=ADMINISTRATOR, now=acme.now)
    assert claims_in(acme.task_token())["sub"] == str(acme.seeded.sam)


def test_a_claim_is_a_string_or_nothing(acme: Tenant) -> None:
    with acme.tx() as tx:
        provision(tx, Kind.USER, "7")
        trust(tx, "https://numbers.example", jwks=acme.seeded.upstream.jwks, subject_claim="oid")
    for oid in (7, ["ext-7"], {"a": 1}, None, True, ""):
        token = acme.id_token(iss="https://numbers.example", oid=oid)
        answer = acme.exchange("invoice-bot", token, subject_token_type=f"{TYPE}id_token", resource=ERP)
        assert answer.json()["error"] == "invalid_request"
        assert acme.last_event().event.reason == "subject_token_subject"


def test_a_nul_in_a_claim_is_bad_input_and_no_fault_of_ours(acme: Tenant) -> None:
    for claims in ({"sub": "ext\x00sam"}, {"iss": "https://login.example\x00"}, {"extra": "\x00"}):
        token = acme.id_token(**claims)
        answer = acme.exchange("invoice-bot", token, subject_token_type=f"{TYPE}id_token", resource=ERP)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_token_of_ours_is_no_id_token_and_one_for_an_agent_itself_names_no_person(acme: Tenant) -> None:
    answer = acme.exchange("ocr-bot", acme.task_token(), subject_token_type=f"{TYPE}id_token")
    assert answer.json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_token_type"
    own = acme.exchange("invoice-bot", acme.own_token("ocr-bot", resource=ERP), resource=ERP)
    assert own.json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "not_delegated"
    itself = acme.exchange("ocr-bot", acme.own_token("ocr-bot", resource=ERP), resource=ERP)
    assert acme.last_event().event.reason == "actor_is_subject"
    assert itself.json()["error"] == "invalid_request"


@pytest.mark.promise(4)
def test_a_token_of_one_tenant_is_nothing_in_the_other(acme: Tenant, rival: Tenant) -> None:
    token = acme.task_token()
    answer = rival.exchange("ocr-bot", token)
    assert answer.json()["error"] == "invalid_request"
    assert rival.last_event().event.reason == "subject_token_issuer"
    assert not rival.is_live(token, rival.seeded.erp)
    assert rival.post("revoke", rival.agent(), token=token).status_code == 200
    assert acme.is_live(token)


def test_an_expired_delegation_does_not_hide_one_that_stands(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    with acme.tx() as tx:
        stranger = provision(tx, Kind.USER, "eve")
        group = provision(tx, Kind.GROUP, "Guests", members=frozenset({stranger}))
        for expires_at in (acme.now + timedelta(seconds=5), None):
            let_act(tx, acme.agent().id, group, expires_at=expires_at)
    two_tenants.clock.forward(6)
    assert acme.exchange("invoice-bot", person="eve").status_code == 200


def test_a_hundred_delegations_elsewhere_do_not_hide_the_one_here(acme: Tenant) -> None:
    here = acme.seeded.delegations["invoice-bot"]
    acme.sql(
        """
        INSERT INTO delegations (tenant_id, id, actor_id, subject_group_id, resource, scopes, max_lifetime_s,
                                 max_depth, created_at)
        SELECT tenant_id, CAST('00000000-0000-7000-8000-' || lpad(n::text, 12, '0') AS uuid), actor_id,
               subject_group_id, :crm, scopes, max_lifetime_s, max_depth, created_at
          FROM delegations, generate_series(900, 1100) AS n WHERE tenant_id = :tenant AND id = :id""",
        id=here,
        crm=CRM,
    )
    acme.sql("UPDATE delegations SET id = gen_random_uuid() WHERE tenant_id = :tenant AND id = :id", id=here)
    assert acme.exchange("invoice-bot").status_code == 200


def test_a_namesake_that_another_source_makes_and_deletes_cuts_nobody_off(acme: Tenant) -> None:
    """Whom an upstream issuer names is whom its own source provisioned, and so is whose end ends an older token."""
    with acme.tx() as tx:
        own, other = (
            create_scim_connection(
                tx, name=name, dialect=Dialect.RFC, token=name * 40, caller=ADMINISTRATOR, now=acme.now
            ).id
            for name in ("a", "b")
        )
    acme.sql("UPDATE principals SET connection_id = :own WHERE tenant_id = :tenant AND id = :sam",
             own=own, sam=acme.seeded.sam)  # fmt: skip
    acme.sql("UPDATE connections SET provisioned_by = :own WHERE tenant_id = :tenant AND kind = 'oidc'", own=own)
    id_token = acme.id_token()
    source = Caller(CallerKind.CONNECTION, str(other), "request-of-tests", connection_id=other)
    namesake = Profile(document={"active": True}, name="sam-too", external_id="ext-sam")
    with acme.tx() as tx:
        made = create_principal(tx, Kind.USER, namesake, caller=source, now=acme.now).principal
        delete_principal(tx, Kind.USER, made.id, expected_version=None, caller=source, now=acme.now)
    answered = acme.exchange("invoice-bot", id_token, subject_token_type=f"{TYPE}id_token", resource=ERP)
    assert claims_in(access_token(answered))["sub"] == str(acme.seeded.sam)


def test_who_is_deleted_and_provisioned_anew_is_somebody_else_also_for_an_older_token(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    old_id_token, old = acme.id_token(), acme.task_token()
    two_tenants.clock.forward(5)
    acme.befall(acme.seeded.sam, Transition.DELETE)
    two_tenants.clock.forward(5)
    with acme.tx() as tx:
        anew = provision(tx, Kind.USER, "sam", now=acme.now)
        let_act(tx, acme.agent().id, None, subject_id=anew)
    assert anew != acme.seeded.sam
    refused = acme.exchange("invoice-bot", old_id_token, subject_token_type=f"{TYPE}id_token", resource=ERP)
    assert refused.json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_cut_off"
    assert claims_in(acme.task_token())["sub"] == str(anew)
    assert not acme.is_live(old)
