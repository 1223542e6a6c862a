"""Which published keys may verify access tokens."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st
from identity_verifier import Rule, VerificationError, fault_of_key, parse_key_set
from identity_verifier.weakness import FIELD, SMALL_ORDER, D
from joserfc.jwk import ECKey, OKPKey, RSAKey
from local_issuer import LocalIssuer, encode

GOOD = LocalIssuer("good").public_jwk()
RSA = LocalIssuer("rsa", RSAKey.generate_key(2048), "RS256").public_jwk()

WEAK = generate_private_key(public_exponent=65_537, key_size=1024).public_key().public_numbers().n


MODULUS = RSAKey.generate_key(2048).public_key.public_numbers().n


def rsa(modulus=MODULUS, exponent=65_537):
    numbers = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (modulus, exponent))
    return {"kty": "RSA", "kid": "weak"} | dict(zip(("n", "e"), map(encode, numbers), strict=True))


def ed25519(y, sign=0):
    return {"kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": encode((y | sign << 255).to_bytes(32, "little"))}


def p256(x, y):
    coordinates = {"x": encode(x.to_bytes(32, "big")), "y": encode(y.to_bytes(32, "big"))}
    return {"kty": "EC", "crv": "P-256", "kid": "weak"} | coordinates


P256_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_Y_OF_0 = 0x66485C780E2F83D72433BD5D84A06BB6541C2AF31DAE871728BF856A174F93F4  # the point (0, y) is on the curve


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


WEAK_KEYS = {
    **{f"Ed25519 y={y:x} sign={sign}": ed25519(y, sign) for y in SMALL_ORDER for sign in (0, 1)},
    **{f"Ed25519 y=p+{more} sign={sign}": ed25519(FIELD + more, sign) for more in range(19) for sign in (0, 1)},
    "Ed25519 off the curve": ed25519(2),
    "P-256 infinity": p256(0, 0),
    "P-256 off the curve": p256(5, 7),
    "P-256 x beyond the field": p256(P256_FIELD, P256_Y_OF_0),
    "P-256 y beyond the field": p256(0, P256_FIELD + 5),
    **{f"RSA e={e}": rsa(exponent=e) for e in (1, 2, 3, 17, 65_535, 65_536, 65_538, 2**31 + 1, 2**255 + 95)},
    "RSA e as large as n": rsa(exponent=MODULUS - 2),
    "RSA even": rsa(MODULUS + 1),
    "RSA factor 3": rsa((2**2047 // 3 | 1) * 3),
    "RSA factor 751": rsa((2**2047 // 751 | 1) * 751),
    "RSA square": rsa((2**1024 - 105) ** 2),
    "RSA 2047 bits": rsa(MODULUS >> 1 | 1),
    "RSA 8193 bits": rsa(2**8192 + 897),
}


@pytest.mark.parametrize("jwk", WEAK_KEYS.values(), ids=WEAK_KEYS.keys())
@pytest.mark.filterwarnings("ignore:Key size")
def test_a_weak_key_is_no_key(jwk):
    assert kids(GOOD, jwk) == {"good"}
    assert fault_of_key(jwk) is not None
    assert fault_of_key({**jwk, "use": "enc"}) is None, "it is for something else, and never used"


def test_the_small_orders_of_ed25519_are_all_that_there_are():
    """Eight points, as the cofactor says, and each becomes the identity when it is doubled three times."""

    def double(x, y):
        dxxyy = D * x * x * y * y
        return (2 * x * y * pow(1 + dxxyy, -1, FIELD) % FIELD, (y * y + x * x) * pow(1 - dxxyy, -1, FIELD) % FIELD)

    points = set()
    for y in SMALL_ORDER:
        square = (y * y - 1) * pow(D * y * y + 1, -1, FIELD) % FIELD
        x = pow(square, (FIELD + 3) // 8, FIELD)
        x = x if x * x % FIELD == square else x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
        for point in {(x, y), (-x % FIELD, y)}:
            points.add(point)
            assert double(*double(*double(*point))) == (0, 1)
    assert len(points) == 8


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
