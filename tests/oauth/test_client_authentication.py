"""Clients prove who they are: by RFC 10070 assertions or by HTTP Basic, at every endpoint alike."""

import base64
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from identity.actions.client_authentication import ASSERTION_LIFETIME_MAX_S, FAULTS_OF_REQUESTS
from tests.fixtures import ASSERTION_TYPE, ERP, Client, Tenant, employ

ENDPOINTS = ("token", "introspect", "revoke")


def ask(tenant: Tenant, endpoint: str = "token", auth: Any = None, **form: Any) -> httpx2.Response:
    """A request that is right but for its authentication."""
    right = {"grant_type": "client_credentials"} if endpoint == "token" else {"token": "x.y.z"}
    return tenant.http.post(f"/t/{tenant.slug}/oauth/{endpoint}", data=right | form, auth=auth)


def ask_with(tenant: Tenant, assertion: str, endpoint: str = "token", **form: Any) -> httpx2.Response:
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return ask(tenant, endpoint, **(proof | form))


def assert_unauthenticated(tenant: Tenant, answer: httpx2.Response, reason: str, *, by_basic: bool = False) -> None:
    """Outside what the request alone shows and else one answer for every fault; inside its reason."""
    told = FAULTS_OF_REQUESTS.get(reason)
    said = "client authentication failed" if told is None else f"client authentication failed: {told} ({reason})"
    assert answer.status_code == 401
    assert answer.json() == {"error": "invalid_client", "error_description": said}
    assert answer.headers.get("WWW-Authenticate", "").startswith("Basic ") is by_basic
    assert answer.headers["Cache-Control"] == "no-store"
    event = tenant.last_event()
    assert (event.event.type, event.event.reason, event.caller_kind) == ("oauth.refused", reason, "anonymous")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_both_methods_work_at_every_endpoint(acme: Tenant, endpoint: str) -> None:
    signs, knows = acme.agent("invoice-bot"), acme.agent("ocr-bot")
    assert ask_with(acme, signs.assertion(acme.issuer, acme.now), endpoint).status_code == 200
    assert ask(acme, endpoint, auth=(knows.client_id, knows.secret)).status_code == 200


NOW_S = 1_795_510_800  # the second at which the world begins

ASSERTION_FAULTS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"aud": "{issuer}/oauth/token"}, {}, "assertion_audience"),
    ({"aud": ["{issuer}"]}, {}, "assertion_audience"),
    ({"aud": ["{issuer}", "https://other.example"]}, {}, "assertion_audience"),
    ({"aud": "{issuer}/"}, {}, "assertion_audience"),
    ({"aud": "https://identity.example/t/rival"}, {}, "assertion_audience"),
    ({"aud": ...}, {}, "assertion_audience"),
    ({"iss": "somebody else"}, {}, "assertion_issuer"),
    ({"iss": ...}, {}, "assertion_issuer"),
    ({"sub": ...}, {}, "assertion_subject"),
    ({"sub": 7}, {}, "assertion_subject"),
    ({"sub": ""}, {}, "assertion_subject"),
    ({"sub": "x" * 257}, {}, "assertion_subject"),
    ({"sub": "nobody", "iss": "nobody"}, {}, "client_unknown"),
    ({"jti": ...}, {}, "assertion_jti"),
    ({"jti": ""}, {}, "assertion_jti"),
    ({"jti": 7}, {}, "assertion_jti"),
    ({"jti": "x" * 257}, {}, "assertion_jti"),
    ({"exp": ...}, {}, "assertion_times"),
    ({"exp": NOW_S - 30}, {}, "assertion_expired"),
    ({"exp": NOW_S + ASSERTION_LIFETIME_MAX_S + 31}, {}, "assertion_lifetime"),
    ({"exp": NOW_S + 60.0}, {}, "assertion_times"),
    ({"exp": 10**400}, {}, "assertion_lifetime"),
    ({"exp": -(10**400)}, {}, "assertion_expired"),
    ({"exp": True}, {}, "assertion_times"),
    ({"exp": str(NOW_S + 60)}, {}, "assertion_times"),
    ({"iat": NOW_S + 31}, {}, "assertion_not_yet_valid"),
    ({"iat": "now"}, {}, "assertion_times"),
    ({"iat": 10**400}, {}, "assertion_not_yet_valid"),
    ({"nbf": NOW_S + 31}, {}, "assertion_not_yet_valid"),
    ({}, {"typ": "at+jwt"}, "assertion_type"),
    ({}, {"typ": "dpop+jwt"}, "assertion_type"),
    ({}, {"kid": "client-2"}, "client_assertion_signature"),
    ({}, {"kid": "../../etc/passwd"}, "client_assertion_signature"),
    ({}, {"kid": "' OR 1=1 --"}, "client_assertion_signature"),
]


@pytest.mark.rfc("10070", "3")
@pytest.mark.rfc("7644", "2.1", "2.1-2")
@pytest.mark.rfc("7644", "7.3", "7.3-1")
@pytest.mark.parametrize(("claims", "header", "reason"), ASSERTION_FAULTS)
def test_an_assertion_with_one_fault_proves_nothing(
    read_only: Tenant, claims: dict[str, Any], header: dict[str, Any], reason: str
) -> None:
    assert int(read_only.now.timestamp()) == NOW_S
    if "aud" in claims and claims["aud"] is not ...:
        claims = claims | {"aud": with_issuer(claims["aud"], read_only.issuer)}
    assertion = read_only.agent().assertion(read_only.issuer, read_only.now, header=header, **claims)
    assert_unauthenticated(read_only, ask_with(read_only, assertion), reason)


def with_issuer(audience: Any, issuer: str) -> Any:
    if isinstance(audience, list):
        return [each.format(issuer=issuer) for each in audience]
    return audience.format(issuer=issuer)


@pytest.mark.parametrize("header", [{}, {"typ": ...}, {"typ": "JWT"}, {"kid": ...}])
def test_an_assertion_of_a_plain_jwt_library_is_believed(acme: Tenant, header: dict[str, Any]) -> None:
    assert ask_with(acme, acme.agent().assertion(acme.issuer, acme.now, header=header)).status_code == 200


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "....", "é.é.é", "x" * 16_385, "e30.e30.", "e30.W10.e30"])
def test_what_is_no_jwt_proves_nothing(read_only: Tenant, text: str) -> None:
    answer = ask_with(read_only, text)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_only_the_registered_key_signs_for_a_client(acme: Tenant, rival: Tenant) -> None:
    own, twin = acme.agent(), rival.agent()
    assert own.client_id == twin.client_id
    stolen = Client(own.client_id, twin.key)
    assert_unauthenticated(acme, ask_with(acme, stolen.assertion(acme.issuer, acme.now)), "client_assertion_signature")
    own_key = ECKey.generate_key("P-256")
    with_jwk = {"jwk": own_key.as_dict(private=False)}
    forged = Client(own.client_id, own_key).assertion(acme.issuer, acme.now, header=with_jwk)
    assert_unauthenticated(acme, ask_with(acme, forged), "client_assertion_signature")


def test_an_assertion_for_one_tenant_is_none_for_the_other(acme: Tenant, rival: Tenant) -> None:
    assertion = acme.agent().assertion(acme.issuer, acme.now)
    assert_unauthenticated(rival, ask_with(rival, assertion), "assertion_audience")
    assert ask_with(acme, assertion).status_code == 200


@pytest.mark.parametrize("algorithm", ["none", "HS256", "es256", "ES384", "RS256"])
def test_no_algorithm_but_that_of_the_key_is_used(read_only: Tenant, algorithm: str) -> None:
    agent = read_only.agent()
    assert agent.key is not None
    header = encoded(json.dumps({"alg": algorithm, "kid": "client-1"}).encode())
    signed = ".".join((header, agent.assertion(read_only.issuer, read_only.now).split(".")[1]))
    public_key = agent.key.as_pem(private=False)
    text = f"{signed}.{encoded(hmac.digest(public_key, signed.encode(), 'sha256'))}"
    assert_unauthenticated(read_only, ask_with(read_only, text), "client_assertion_signature")


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@pytest.mark.rfc("7523", "3")
@pytest.mark.rfc("7644", "2.1", "2.1-2")
@pytest.mark.rfc("7644", "7.3", "7.3-1")
def test_an_assertion_serves_once(acme: Tenant) -> None:
    assertion = acme.agent().assertion(acme.issuer, acme.now)
    assert ask_with(acme, assertion).status_code == 200
    assert_unauthenticated(acme, ask_with(acme, assertion), "client_assertion_replayed")
    assert_unauthenticated(acme, ask_with(acme, assertion, "introspect"), "client_assertion_replayed")


def test_an_assertion_serves_once_also_when_the_request_is_refused(acme: Tenant) -> None:
    assertion = acme.agent().assertion(acme.issuer, acme.now)
    assert ask_with(acme, assertion, scope="invoices.pay").json()["error"] == "invalid_scope"
    assert_unauthenticated(acme, ask_with(acme, assertion), "client_assertion_replayed")


def test_nobody_uses_up_an_assertion_by_guessing_its_jti(acme: Tenant) -> None:
    agent = acme.agent()
    guessed = Client(agent.client_id, ECKey.generate_key("P-256")).assertion(acme.issuer, acme.now, jti="1")
    assert ask_with(acme, guessed).status_code == 401
    assert ask_with(acme, agent.assertion(acme.issuer, acme.now, jti="1")).status_code == 200


def test_of_fifty_at_once_with_one_assertion_one_succeeds(acme: Tenant) -> None:
    assertion = acme.agent().assertion(acme.issuer, acme.now)
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: ask_with(acme, assertion).status_code, range(50)))
    assert sorted(answers) == [200] + [401] * 49


@pytest.mark.parametrize("secret", ["", "wrong", "é", "\u0661", "s" * 4_000, "%00", "a b"])
def test_a_wrong_secret_of_any_characters_is_refused_and_no_fault_of_ours(read_only: Tenant, secret: str) -> None:
    sent = base64.b64encode(f"{read_only.agent('ocr-bot').client_id}:{secret}".encode()).decode()
    answer = read_only.http.post(
        "/t/acme/oauth/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {sent}"},
    )
    assert_unauthenticated(read_only, answer, "client_secret", by_basic=True)


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic /////w==", "Basic YQ==", "Bearer abc", "Negotiate x", "é"]
)
def test_a_header_that_holds_no_credential_is_none(read_only: Tenant, header: str) -> None:
    answer = read_only.http.post(
        "/t/acme/oauth/token",
        data={"grant_type": "client_credentials"},
        headers={b"Authorization": header.encode()},  # type: ignore[dict-item]
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("client_id", ["nobody", "é", "a\x00b", "%00", "' OR 1=1 --", "x" * 4_000])
def test_an_unknown_client_gets_the_answer_of_a_wrong_secret(read_only: Tenant, client_id: str) -> None:
    sent = base64.b64encode(f"{client_id}:secret".encode()).decode()
    answer = read_only.http.post(
        "/t/acme/oauth/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {sent}"},
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_client_of_the_other_tenant_is_unknown(acme: Tenant, rival: Tenant) -> None:
    twin = rival.agent("ocr-bot")
    assert_unauthenticated(acme, ask(acme, auth=(twin.client_id, twin.secret)), "client_secret", by_basic=True)
    with rival.tx() as tx:
        only_there = employ(tx, "new-bot", rival.seeded.dana)
    assert_unauthenticated(
        acme, ask(acme, auth=(only_there.client_id, only_there.secret)), "client_unknown", by_basic=True
    )


def test_a_client_id_beside_the_credential_must_be_the_same(acme: Tenant) -> None:
    knows = acme.agent("ocr-bot")
    assert ask(acme, auth=(knows.client_id, knows.secret), client_id=knows.client_id).status_code == 200
    other = ask(acme, auth=(knows.client_id, knows.secret), client_id=acme.agent("mail-bot").client_id)
    assert_unauthenticated(acme, other, "client_id_differs", by_basic=True)


def test_an_unknown_kind_of_assertion_is_refused(acme: Tenant) -> None:
    assertion = acme.agent().assertion(acme.issuer, acme.now)
    saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    for kind in (saml, ""):
        answer = ask(acme, client_assertion=assertion, client_assertion_type=kind)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_an_access_token_of_ours_is_no_client_assertion(acme: Tenant) -> None:
    answer = ask_with(acme, acme.own_token("invoice-bot"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_resource_server_gets_no_token(acme: Tenant) -> None:
    for grant in ({"grant_type": "client_credentials"}, {"resource": ERP}):
        answer = acme.exchange(acme.seeded.erp, **grant)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
