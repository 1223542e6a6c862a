"""What an attacker can send: bytes of any shape, tokens changed anywhere, claims signed in bad faith."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity_verifier import Rule, VerificationError, VerifiedClaims, parse_key_set, verify_token
from local_issuer import AUDIENCE, CLAIMS, EXPECTED, HEADER, ISSUER, NOW, LocalIssuer, encode, sign_parts

SIGNER = LocalIssuer()
KEYS = parse_key_set(SIGNER.key_set())


def verify(token: str) -> VerifiedClaims:
    return verify_token(token, KEYS, EXPECTED, NOW)


def refused_rule(token: str) -> Rule:
    with pytest.raises(VerificationError) as refusal:
        verify(token)
    return refusal.value.rule


SHAPE_FAULTS = [
    ".", "..", "...", "a.b", "a.b.c.d", "not a token",
    SIGNER.sign() + "\n", " " + SIGNER.sign(), SIGNER.sign() + "=",
    SIGNER.sign().replace(".", "..", 1), SIGNER.sign().rpartition(".")[0] + ".", "Bearer " + SIGNER.sign(),
    "é.é.é", "\ud800.a.a", SIGNER.sign() + ".a", SIGNER.sign().replace("_", "/").replace("-", "+") + "+",
]  # fmt: skip


@pytest.mark.parametrize("text", SHAPE_FAULTS, ids=range(len(SHAPE_FAULTS)))
def test_what_is_not_three_base64url_parts_is_refused_for_its_shape(text):
    assert refused_rule(text) is Rule.SHAPE


def test_a_signature_has_one_spelling():
    token = SIGNER.sign()
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(token[-1])
    same_bytes = token[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last ^ 1]
    assert refused_rule(same_bytes) is Rule.SHAPE


def test_a_token_over_16_kb_is_refused_before_anything_else():
    assert refused_rule("a" * 16_385) is Rule.SIZE
    assert refused_rule("a" * 16_384) is Rule.SHAPE


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(CLAIMS)[:-1].encode() + b',"sub":"other"}',  # the first or the last?
        json.dumps(CLAIMS)[:-1].encode() + b',"act":{"sub":"a","sub":"b","iss":"c"}}',
        b"[]", b'"claims"', b"null", b"1", b"{",
        b"{}{}", b"{'a':1}", b"\xff\xfe{}", b"\xef\xbb\xbf{}",
        b'{"exp":NaN}', b'{"exp":Infinity}', b'{"exp":1e999}', b'{"exp":' + b"9" * 5000 + b"}",
        b'{"sub":"\\ud800"}', b'{"\\udfff":1}', b'{"a":"\x01"}',
        b"[" * 12_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
        b'{"a":"' + b'\\"' * 5_000,
    ],
    ids=range(22),
)  # fmt: skip
def test_claims_that_are_not_strict_json_are_refused_though_signed(payload):
    assert refused_rule(sign_parts(HEADER, payload, SIGNER.key, "ES256")) is Rule.CLAIMS


@pytest.mark.parametrize(
    "header",
    [
        b'{"typ":"JWT","typ":"at+jwt","alg":"ES256","kid":"k1"}',
        b"[]",
        b"null",
        b"[" * 500,
        HEADER[:-1],
        b"\xff",
    ],
)
def test_a_header_that_is_not_strict_json_is_refused_for_its_shape(header):
    assert refused_rule(sign_parts(header, b"{}", SIGNER.key, "ES256")) is Rule.SHAPE


GOOD = SIGNER.sign()


@given(position=st.integers(0, len(GOOD) - 1), replacement=st.text(max_size=3), removed=st.integers(0, 4))
def test_a_token_changed_anywhere_is_refused_by_a_rule_and_by_nothing_else(position, replacement, removed):
    mutated = GOOD[:position] + replacement + GOOD[position + removed :]
    if mutated != GOOD:
        refused_rule(mutated)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_any_text_is_refused_by_a_rule_and_by_nothing_else(text):
    refused_rule(text)


MEMBERS = st.text(max_size=4) | st.sampled_from(["sub", "iss", "act"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(member=st.sampled_from([*CLAIMS, "nbf", "cnf"]), value=JSON)
def test_any_value_of_any_claim_is_accepted_or_refused_by_a_rule(member, value):
    payload = json.dumps({**CLAIMS, member: value}).encode()
    try:
        claims = verify(sign_parts(HEADER, payload, SIGNER.key, "ES256"))
    except VerificationError:
        return
    assert claims.depth <= EXPECTED.max_depth
    assert (claims.issuer, claims.audience, claims.tenant) == (ISSUER, AUDIENCE, "acme")


@given(member=st.sampled_from(["typ", "alg", "kid", "crit", "jwk", "b64"]), value=JSON)
def test_any_value_of_any_header_member_is_accepted_or_refused_by_a_rule(member, value):
    header = json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": "k1", member: value}).encode()
    try:
        verify(sign_parts(header, json.dumps(CLAIMS).encode(), SIGNER.key, "ES256"))
    except VerificationError:
        return
    assert member in ("jwk", "b64")  # only what is never looked at may be anything


@given(payload=st.binary(max_size=300))
def test_any_signed_bytes_are_refused_by_a_rule(payload):
    assert refused_rule(sign_parts(HEADER, payload, SIGNER.key, "ES256")) in Rule


@given(signature=st.binary(max_size=80))
def test_any_other_signature_is_refused(signature):
    assert refused_rule(f"{GOOD.rpartition('.')[0]}.{encode(signature)}") in (Rule.SIGNATURE, Rule.SHAPE)
