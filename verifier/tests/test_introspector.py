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


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b'{"active":true}', 500),
        Answer(b'{"active":true}', 201),
        Answer(b'{"active":true}', 302, {"Location": "/yes"}),
        Answer(b'{"active":"true"}'),
        Answer(b'{"active":1}'),
        Answer(b'{"active":null}'),
        Answer(b'{"active":false,"active":true}'),
        Answer(b"{}"),
        Answer(b"[true]"),
        Answer(b"true"),
        Answer(b""),
        Answer(b'{"active":true,"x":"' + b"y" * 65_536 + b'"}'),
    ],
    ids=range(12),
)
def test_no_clear_answer_is_a_refusal(server, introspector, answer):
    server.answer = answer
    for ask in (introspector.is_active, introspector.introspect):
        with pytest.raises(VerificationError) as refusal:
            ask("a.b.c")
        assert refusal.value.rule is Rule.INTROSPECTION_UNAVAILABLE
        assert refusal.value.is_unavailable
    assert {path for _, path, _ in server.requests} == {"/introspect"}


def test_no_issuer_is_a_refusal(server, introspector):
    server.stop()
    with pytest.raises(VerificationError) as refusal:
        introspector.is_active("a.b.c")
    assert refusal.value.rule is Rule.INTROSPECTION_UNAVAILABLE


def test_the_secret_is_neither_shown_nor_sent_over_an_open_wire(introspector):
    assert "s3cret" not in repr(introspector)
    with pytest.raises(ValueError, match="https"):
        Introspector("http://id.example/introspect", "erp", "secret")
