"""What is set up wrongly is an error of its own: never a fault of the token, and never an outage."""

import datetime
import json
from typing import Any

import pytest
from identity_verifier import (
    ConfigurationError,
    Expected,
    FetchError,
    Introspector,
    Misconfiguration,
    Rule,
    VerificationError,
    Verifier,
)
from local_issuer import AUDIENCE, ISSUER, NOW, RIVAL, LocalIssuer, changed_claims
from loopback import Answer, LoopbackServer

CLIENT = "019b0f6e-1111-7000-8000-000000000001"
SIGNER = LocalIssuer()


def verifier(issuer: Any = ISSUER, audience: Any = AUDIENCE, **options: Any) -> Verifier:
    return Verifier(issuer, audience, **{"clock": lambda: NOW, **options})


def fault_of(run: Any, *arguments: Any, **options: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as fault:
        run(*arguments, **options)
    assert str(fault.value) == f"{fault.value.code}: {fault.value.detail}"
    return fault.value


# --- what is seen when a verifier is made ------------------------------------------------------------------------

STATIC_FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"issuer": ISSUER + "/"}, "issuer", "remove it"),
    ({"issuer": ""}, "issuer", "must be named"),
    ({"issuer": None}, "issuer", "must be named"),
    ({"issuer": ISSUER.encode()}, "issuer", "must be named"),
    ({"issuer": "id.example/t/acme"}, "issuer", "no issuer"),
    ({"issuer": "acme"}, "issuer", "no issuer"),
    ({"issuer": "ftp://id.example/t/acme"}, "issuer", "no issuer"),
    ({"issuer": "https:///t/acme"}, "issuer", "no issuer"),
    ({"issuer": "https://id.example:port/t/acme"}, "issuer", "no issuer"),
    ({"issuer": "https://[id.example/t/acme"}, "issuer", "no issuer"),
    ({"issuer": "https://me:pass@id.example/t/acme"}, "issuer", "no issuer"),
    ({"issuer": ISSUER + "?x=1"}, "issuer", "no issuer"),
    ({"issuer": ISSUER + "#x"}, "issuer", "no issuer"),
    ({"issuer": ISSUER + "\n"}, "issuer", "no issuer"),
    ({"issuer": " " + ISSUER}, "issuer", "no issuer"),
    ({"issuer": "http://id.example/t/acme"}, "url", "https"),
    ({"issuer": "http://127.0.0.1.example/t/acme"}, "url", "https"),
    ({"audience": ""}, "audience", "registered"),
    ({"audience": " "}, "audience", "registered"),
    ({"audience": None}, "audience", "registered"),
    ({"audience": [AUDIENCE]}, "audience", "registered"),
    ({"tenant": "rival"}, "tenant", "leave tenant out"),
    ({"tenant": ""}, "tenant", "left out"),
    ({"tenant": 7}, "tenant", "left out"),
    ({"jwks_uri": "http://id.example/jwks"}, "url", "https"),
    ({"jwks_uri": "ftp://id.example/"}, "url", "https"),
    ({"jwks_uri": "file:///etc/passwd"}, "url", "https"),
    ({"jwks_uri": "/jwks"}, "url", "https"),
    ({"jwks_uri": "https://"}, "url", "https"),
    ({"jwks_uri": 7}, "url", "https"),
    ({"leeway_s": -1}, "option", "leeway_s"),
    ({"leeway_s": "30"}, "option", "leeway_s"),
    ({"leeway_s": float("nan")}, "option", "leeway_s"),
    ({"max_depth": -1}, "option", "max_depth"),
    ({"max_depth": True}, "option", "max_depth"),
    ({"max_lifetime_s": 0}, "option", "max_lifetime_s"),
    ({"key_lifetime_s": 0}, "option", "key_lifetime_s"),
    ({"stale_key_lifetime_s": None}, "option", "stale_key_lifetime_s"),
    ({"refetch_interval_s": -1}, "option", "refetch_interval_s"),
]


@pytest.mark.parametrize(("options", "code", "words"), STATIC_FAULTS, ids=range(len(STATIC_FAULTS)))
def test_a_verifier_that_could_accept_no_token_cannot_be_made(options, code, words):
    fault = fault_of(verifier, **options)
    assert (fault.code, words in fault.detail) == (code, True), str(fault)


@pytest.mark.parametrize("algorithms", [(), ("none",), ("ES256", "HS256"), "ES256"])
def test_algorithms_that_prove_nothing_cannot_be_allowed(algorithms):
    assert fault_of(Expected, ISSUER, AUDIENCE, algorithms=algorithms).code is Misconfiguration.OPTION


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("http://id.example/introspect", CLIENT, "secret"), "url"),
        (("introspect", CLIENT, "secret"), "url"),
        ((None, CLIENT, "secret"), "url"),
        (("https://id.example/introspect", "", "secret"), "client"),
        (("https://id.example/introspect", None, "secret"), "client"),
        (("https://id.example/introspect", CLIENT, ""), "client"),
        (("https://id.example/introspect", CLIENT, None), "client"),
        (("https://id.example/introspect", CLIENT, b"secret"), "client"),
    ],
)
def test_an_introspector_that_could_ask_nobody_cannot_be_made(arguments, code):
    fault = fault_of(Introspector, *arguments)
    assert fault.code == code
    assert "secret'" not in str(fault)


def test_a_configuration_error_is_a_value_error_and_no_verdict_on_a_token():
    assert issubclass(ConfigurationError, ValueError)
    assert not issubclass(ConfigurationError, VerificationError)


@pytest.mark.parametrize("code", [*Misconfiguration, *Rule])
def test_codes_are_plain_text_on_every_python(code):
    assert f"{code}" == "%s" % code == str(code) == code == json.loads(json.dumps(code)) == code.value  # noqa: UP031


# --- what is no token --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_a_token_the_rule_is_missing(server, nothing):
    for ask in (verifier().verify, Introspector(server.url, CLIENT, "secret").is_active):
        with pytest.raises(VerificationError) as refusal:
            ask(nothing)
        assert refusal.value.rule is Rule.MISSING
        assert not refusal.value.is_unavailable
    assert server.request_count == 0


@pytest.mark.parametrize("token", [SIGNER.sign().encode(), 7, 0, ["a"], {"a": 1}, object(), True, b""], ids=range(8))
def test_what_is_no_text_is_a_fault_of_the_program_and_not_of_the_caller(server, token):
    for ask in (verifier().verify, Introspector(server.url, CLIENT, "secret").introspect):
        fault = fault_of(ask, token)
        assert (fault.code, type(token).__name__ in fault.detail) == (Misconfiguration.TOKEN_TYPE, True)
    assert server.request_count == 0


# --- what the issuer's answer shows --------------------------------------------------------------------------------

ANSWERS: list[tuple[Answer, str]] = [
    (Answer(b"", 404), "not_found"),
    (Answer(b"", 410), "not_found"),
    (Answer(b"", 301, {"Location": "/elsewhere"}), "redirected"),
    (Answer(b"", 302, {"Location": "http://169.254.169.254/"}), "redirected"),
    (Answer(b"", 400), "refused"),
    (Answer(b"", 405), "refused"),
    (Answer(b"", 407), "refused"),
    (Answer(b"", 451), "refused"),
    (Answer(b"<html>sign in here</html>"), "not_an_issuer"),
    (Answer(b""), "not_an_issuer"),
    (Answer(b"[]"), "not_an_issuer"),
    (Answer(b"{}"), "not_an_issuer"),
    (Answer(b'{"keys":{},"active":"true"}'), "not_an_issuer"),
    (Answer(b'{"keys":1,"active":1}'), "not_an_issuer"),
    (Answer(b'{"keys":[],"keys":[],"active":false,"active":true}'), "not_an_issuer"),
    (Answer(b'{"keys":[],"active":true,"x":"' + b"y" * 65_536 + b'"}'), "not_an_issuer"),
    (Answer(b'{"keys":[],"active":true}', 201), "not_an_issuer"),
]


def row_names(rows: list[tuple[Answer, str]]) -> list[str]:
    return [f"{code}-{answer.status}-{number}" for number, (answer, code) in enumerate(rows)]


@pytest.mark.parametrize(("answer", "code"), ANSWERS, ids=row_names(ANSWERS))
def test_an_address_where_no_issuer_is_is_named_with_what_to_change(server, answer, code):
    server.answer = answer
    asked = [
        (verifier(jwks_uri=f"{server.url}/jwks").verify, SIGNER.sign(), "/jwks"),
        (Introspector(f"{server.url}/introspect", CLIENT, "s3cret").is_active, "a.b.c", "/introspect"),
    ]
    for ask, token, path in asked:
        fault = fault_of(ask, token)
        assert (fault.code, f"{server.url}{path}" in fault.detail) == (code, True), str(fault)
        assert token not in str(fault)
        assert "s3cret" not in str(fault)
        assert "169.254" not in str(fault)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_set_that_asks_for_credentials_is_behind_something_else(server, status):
    server.answer = Answer(b"", status)
    assert fault_of(verifier(jwks_uri=f"{server.url}/jwks").verify, SIGNER.sign()).code is Misconfiguration.REFUSED


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_secret_is_no_outage(server, status):
    server.answer = Answer(b'{"error":"invalid_client"}', status)
    fault = fault_of(Introspector(f"{server.url}/introspect", CLIENT, "s3cret").is_active, "a.b.c")
    assert fault.code is Misconfiguration.CLIENT_REFUSED
    assert "check the client's secret" in fault.detail
    assert "UUID" not in fault.detail
    assert "s3cret" not in str(fault)


@pytest.mark.parametrize("client_id", ["erp", "019b0f6e", f"urn:uuid:{CLIENT}", f"{CLIENT} "])
def test_a_client_named_by_what_is_no_id_is_told_so_when_it_is_refused(server, client_id):
    server.answer = Answer(b"", 401)
    fault = fault_of(Introspector(f"{server.url}/introspect", client_id, "secret").is_active, "a.b.c")
    assert f"{client_id!r} is no client id" in fault.detail


def test_a_wrong_address_is_asked_again_and_found_right_once_it_is(server):
    clock = [NOW]
    one = verifier(jwks_uri=f"{server.url}/jwks", clock=lambda: clock[0])
    server.answer = Answer(b"", 404)
    for _ in range(5):
        assert fault_of(one.verify, SIGNER.sign()).code is Misconfiguration.NOT_FOUND
    assert server.request_count == 1
    server.says(SIGNER.key_set())
    clock[0] += datetime.timedelta(seconds=10)
    assert one.verify(SIGNER.sign()).token_id == "tok_01"


def test_each_caller_gets_an_error_of_its_own(server):
    server.answer = Answer(b"", 404)
    one = verifier(jwks_uri=f"{server.url}/jwks")
    assert fault_of(one.verify, SIGNER.sign()) is not fault_of(one.verify, SIGNER.sign())


def test_an_issuer_that_was_found_and_is_lost_later_is_served_from_the_keys_held(server):
    clock = [NOW]
    one = verifier(jwks_uri=f"{server.url}/jwks", clock=lambda: clock[0])
    server.says(SIGNER.key_set())
    one.verify(SIGNER.sign())
    server.answer = Answer(b"", 404)
    clock[0] += datetime.timedelta(seconds=300)
    with pytest.raises(VerificationError) as refusal:
        one.verify(SIGNER.sign())
    assert refusal.value.rule is Rule.EXPIRED, "the keys were there: the token was too old"


def test_a_fetch_of_ones_own_says_the_same_with_a_status():
    def fetch(_url: str) -> bytes:
        raise FetchError("not there", status=404)

    assert fault_of(verifier(fetch=fetch).verify, SIGNER.sign()).code is Misconfiguration.NOT_FOUND


# --- another issuer's token, or another name for this issuer -------------------------------------------------------


class Issuer:
    """A server that is an issuer: its metadata, and its keys."""

    def __init__(self, server: LoopbackServer, name: str | None = None) -> None:
        self.url = f"{server.url}/t/acme"
        self.server = server
        server.paths = {
            "/t/acme/jwks": Answer(json.dumps(SIGNER.key_set()).encode()),
            "/t/acme/.well-known/openid-configuration": Answer(json.dumps({"issuer": name or self.url}).encode()),
        }
        server.answer = Answer(b"", 404)

    def token(self, issuer: str, signer: LocalIssuer = SIGNER) -> str:
        return signer.sign(changed_claims(iss=issuer))


@pytest.mark.parametrize("kid", ["k1", "of-the-rival"])
def test_a_token_of_another_tenant_is_refused_for_its_issuer_and_costs_one_look(server, rival, kid):
    issuer = Issuer(server)
    one = verifier(issuer.url)
    for _ in range(5):
        with pytest.raises(VerificationError) as refusal:
            one.verify(rival.sign(changed_claims(iss=RIVAL, tenant="rival"), kid=kid))
        assert refusal.value.rule is Rule.ISSUER
    assert [path for _, path, _ in server.requests] == ["/t/acme/.well-known/openid-configuration"]


def test_a_token_of_another_tenant_costs_nothing_once_one_of_ours_was_good(server, rival):
    issuer = Issuer(server)
    one = verifier(issuer.url)
    one.verify(issuer.token(issuer.url))
    with pytest.raises(VerificationError) as refusal:
        one.verify(rival.sign(changed_claims(iss=RIVAL)))
    assert refusal.value.rule is Rule.ISSUER
    assert [path for _, path, _ in server.requests] == ["/t/acme/jwks"]


def test_a_token_that_lies_about_its_issuer_fails_at_the_signature(server, rival):
    issuer = Issuer(server)
    with pytest.raises(VerificationError) as refusal:
        verifier(issuer.url).verify(issuer.token(issuer.url, rival))
    assert refusal.value.rule is Rule.SIGNATURE


def test_an_issuer_under_another_name_than_its_own_is_a_wrong_configuration(server):
    public = "https://id.example/t/acme"
    issuer = Issuer(server, name=public)
    one = verifier(issuer.url)
    for _ in range(3):
        fault = fault_of(one.verify, issuer.token(public))
        assert fault.code is Misconfiguration.ISSUER_MISMATCH
        assert repr(public) in fault.detail
    assert server.request_count == 1
    right = verifier(public, jwks_uri=f"{issuer.url}/jwks")
    assert right.verify(issuer.token(public)).issuer == public


def test_an_issuer_without_its_tenant_is_not_found(server):
    issuer = Issuer(server)
    assert fault_of(verifier(server.url).verify, issuer.token(issuer.url)).code is Misconfiguration.NOT_FOUND


@pytest.mark.parametrize(
    "metadata",
    [b"{}", b"<html>", b'{"issuer":7}', b'{"issuer":null}'],
)
def test_metadata_that_name_nobody_leave_it_at_the_tokens_issuer(server, metadata):
    issuer = Issuer(server)
    server.paths["/t/acme/.well-known/openid-configuration"] = Answer(metadata)
    with pytest.raises(VerificationError) as refusal:
        verifier(issuer.url).verify(issuer.token(RIVAL))
    assert refusal.value.rule is Rule.ISSUER


@pytest.mark.parametrize("status", [500, 503])
def test_metadata_that_cannot_be_had_leave_it_at_the_tokens_issuer(server, status):
    issuer = Issuer(server)
    server.paths["/t/acme/.well-known/openid-configuration"] = Answer(b"", status)
    with pytest.raises(VerificationError) as refusal:
        verifier(issuer.url).verify(issuer.token(RIVAL))
    assert refusal.value.rule is Rule.ISSUER


def test_keys_that_lie_elsewhere_say_nothing_about_the_name(server):
    issuer = Issuer(server)
    with pytest.raises(VerificationError) as refusal:
        verifier(jwks_uri=f"{server.url}/keys").verify(issuer.token(RIVAL))
    assert refusal.value.rule is Rule.ISSUER
    assert server.request_count == 0


def test_a_clock_that_disagrees_with_the_issuers_is_told_in_seconds(server):
    issuer = Issuer(server)
    slow = verifier(issuer.url, clock=lambda: NOW - datetime.timedelta(hours=1))
    with pytest.raises(VerificationError, match="iat is in 3600 s: the issuer's clock and this") as refusal:
        slow.verify(issuer.token(issuer.url))
    assert refusal.value.rule is Rule.ISSUED_IN_FUTURE
    fast = verifier(issuer.url, clock=lambda: NOW + datetime.timedelta(hours=1))
    with pytest.raises(VerificationError, match="exp was 3480 s ago"):
        fast.verify(issuer.token(issuer.url))


def test_an_outage_says_what_the_system_said(server):
    server.stop()
    with pytest.raises(VerificationError, match="ConnectError: Connection refused") as refusal:
        verifier(jwks_uri=f"{server.url}/jwks").verify(SIGNER.sign())
    assert refusal.value.rule is Rule.KEYS_UNAVAILABLE
