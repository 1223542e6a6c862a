"""Which published keys may verify access tokens."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st
from identity_verifier import Rule, VerificationError, parse_key_set
from joserfc.jwk import ECKey, OKPKey, RSAKey
from local_issuer import LocalIssuer, encode

GOOD = LocalIssuer("good").public_jwk()
RSA = LocalIssuer("rsa", RSAKey.generate_key(2048), "RS256").public_jwk()

WEAK = generate_private_key(public_exponent=65_537, key_size=1024).public_key().public_numbers().n


def weak_modulus(size_bytes: int) -> str:
    return encode(WEAK.to_bytes(size_bytes, "big"))


def kids(*keys: Any) -> set[str]:
    return set(parse_key_set({"keys": list(keys)}).by_id)


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        (GOOD, "ES256"),
        (RSA, "RS256"),
        (LocalIssuer("okp", OKPKey.generate_key("Ed25519"), "EdDSA").public_jwk(), "EdDSA"),
        ({name: GOOD[name] for name in ("kty", "crv", "x", "y", "kid")}, "ES256"),
        ({**GOOD, "key_ops": ["verify"]}, "ES256"),
        ({**GOOD, "x5c": ["anything"], "x5u": "https://elsewhere.example"}, "ES256"),
    ],
)
def test_a_key_for_signatures_is_held_with_its_one_algorithm(jwk, algorithm):
    key = parse_key_set({"keys": [jwk]}).find(jwk["kid"])
    assert key is not None
    assert key.algorithm == algorithm


@pytest.mark.parametrize(
    "jwk",
    [
        {**GOOD, "kid": ""},
        {**GOOD, "kid": 1},
        {name: value for name, value in GOOD.items() if name != "kid"},
        {**GOOD, "use": "enc"},
        {**GOOD, "key_ops": ["sign"]},
        {**GOOD, "key_ops": "verify"},
        {**GOOD, "alg": "ES384"},
        {**GOOD, "alg": None},
        {**GOOD, "kty": "oct", "k": "c2VjcmV0"},
        {**GOOD, "kty": "AKP"},
        {**GOOD, "kty": ["EC"]},
        {**GOOD, "crv": "P-384"},
        {**GOOD, "crv": ["P-256"]},
        {**GOOD, "x": GOOD["y"]},  # not a point of the curve
        {**GOOD, "x": None},
        {**GOOD, "y": "!"},
        {**LocalIssuer("p384", ECKey.generate_key("P-384"), "ES384").public_jwk(), "alg": "ES256"},
        LocalIssuer("x", OKPKey.generate_key("X25519"), "EdDSA").public_jwk(),
        {**RSA, "n": weak_modulus(128)},
        {**RSA, "n": weak_modulus(256)},  # the same 1024 bits behind leading zeros
        {**RSA, "n": "f" * 100_000},
        {**RSA, "e": None},
        {**RSA, "alg": "PS256"},
        {**RSA, "crv": "P-256"},
        None,
        "key",
    ],
    ids=range(26),
)
@pytest.mark.filterwarnings("ignore:Key size")
def test_a_key_that_is_not_for_us_is_left_out_and_costs_the_others_nothing(jwk):
    assert kids(GOOD, jwk) == {"good"}
    with pytest.raises(VerificationError) as refusal:
        kids(jwk)
    assert refusal.value.rule is Rule.KEY_SET


def test_a_private_key_published_by_mistake_is_not_held():
    private = LocalIssuer("slip").key.as_dict(private=True)
    key = parse_key_set({"keys": [{**private, "kid": "slip"}]}).find("slip")
    assert key is not None
    assert not key._public_key.is_private


@pytest.mark.parametrize(
    "document",
    [
        b"", b"[]", b"{}",
        b'{"keys":{}}', b'{"keys":[]}', b"<html>", b"\xff", "\ud800", b"[" * 60_000,
        b'{"keys":[],"keys":[]}', {"keys": None}, {"keys": [GOOD, GOOD]},
        {"keys": [GOOD, {**RSA, "kid": "good"}]},
        {"keys": [{**GOOD, "kid": str(number)} for number in range(65)]},
    ],
    ids=range(14),
)  # fmt: skip
def test_a_document_that_is_no_clear_key_set_is_refused_whole(document):
    with pytest.raises(VerificationError) as refusal:
        parse_key_set(document)
    assert refusal.value.rule is Rule.KEY_SET


def test_a_document_may_be_bytes_text_or_an_object():
    document = {"keys": [GOOD]}
    text = json.dumps(document)
    assert [set(parse_key_set(form).by_id) for form in (document, text, text.encode())] == [{"good"}] * 3


@given(st.binary() | st.text())
def test_any_document_is_refused_by_a_rule_and_by_nothing_else(document):
    with pytest.raises(VerificationError):
        parse_key_set(document)


@given(
    member=st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops"]),
    value=st.none() | st.integers() | st.text() | st.lists(st.text(), max_size=2) | st.just({}),
)
def test_any_value_in_one_key_never_costs_the_other(member, value):
    assert "good" in kids(GOOD, {**RSA, member: value if value != "good" else "other"})
