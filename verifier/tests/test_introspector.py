"""Asking the issuer: a clear yes is a yes, anything else is not."""

import base64

import pytest
from identity_verifier import Introspector, Rule, VerificationError
from loopback import Answer, LoopbackServer


@pytest.fixture
def introspector(server: LoopbackServer) -> Introspector:
    return Introspector(f"{server.url}/introspect", "erp", "s3cret:with/signs ü")


def test_the_answer_is_the_issuers(server, introspector):
    server.says({"active": True, "sub": "2819c223", "scope": "invoices.read"})
    assert introspector.is_active("a.b.c")
    assert introspector.introspect("a.b.c")["scope"] == "invoices.read"
    server.says({"active": False})
    assert not introspector.is_active("a.b.c")


def test_every_call_asks_again(server, introspector):
    server.says({"active": True})
    for _ in range(3):
        introspector.is_active("a.b.c")
    assert server.request_count == 3


def test_the_token_goes_in_the_form_and_the_credential_in_the_header(server, introspector):
    server.says({"active": True})
    introspector.is_active("a+b&c")
    assert server.requests == [("POST", "/introspect", b"token=a%2Bb%26c&token_type_hint=access_token")]
    assert server.last_headers["content-type"] == "application/x-www-form-urlencoded"
    scheme, _, credential = server.last_headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(credential) == b"erp:s3cret%3Awith%2Fsigns+%C3%BC"  # RFC 6749 §2.3.1


def refusal_of(introspector: Introspector, token: str = "a.b.c") -> VerificationError:
    """The refusal, the same from both ways to ask."""
    refusals = []
    for ask in (introspector.is_active, introspector.introspect):
        with pytest.raises(VerificationError) as refusal:
            ask(token)
        refusals.append(refusal.value)
    assert str(refusals[0]) == str(refusals[1])
    return refusals[0]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 425, 429])
def test_an_issuer_that_cannot_answer_now_is_an_outage(server, introspector, status):
    server.answer = Answer(b'{"active":true}', status)
    refusal = refusal_of(introspector)
    assert refusal.rule is Rule.INTROSPECTION_UNAVAILABLE
    assert refusal.is_unavailable
    assert str(status) in refusal.detail


def test_no_issuer_is_an_outage(server, introspector):
    server.stop()
    assert refusal_of(introspector).rule is Rule.INTROSPECTION_UNAVAILABLE


def test_a_fetch_of_ones_own_may_fail_in_any_way_and_its_words_are_not_repeated():
    def broken(*_):
        raise RuntimeError("password=s3cret")

    refusal = refusal_of(Introspector("https://id.example/introspect", "erp", "secret", fetch=broken))
    assert refusal.rule is Rule.INTROSPECTION_UNAVAILABLE
    assert "s3cret" not in str(refusal)


def test_the_secret_is_not_shown(introspector):
    assert "s3cret" not in repr(introspector)
