"""Signing keys: when they sign, until when they verify, and who can open them."""

from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing, create_signing_key, list_signing_keys, published_keys, rotate_keys
from identity.model.errors import LimitExceeded, Unavailable
from identity.model.ids import TenantId
from identity.model.signing_key import JWKS_LIFETIME_S, RETIRING_S, SigningKey, signing_key
from identity.store.signing_keys import KEYS_MAX
from tests.actions.sources import digest, rows
from tests.actions.test_lifecycle import clock_of
from tests.actions.test_races import together
from tests.fixtures import ADMINISTRATOR, Tenant
from tests.oauth.conftest import SEAL

OTHER_SEAL = EnvelopeEncryption(bytes([1]) * 32)


def rotate(tenant: Tenant, encryption: EnvelopeEncryption = SEAL) -> SigningKey:
    with tenant.tx() as tx:
        return rotate_keys(tx, encryption=encryption, caller=ADMINISTRATOR, now=tenant.now)


def keys(tenant: Tenant, now: datetime | None = None) -> list[SigningKey]:
    with tenant.tx() as tx:
        return list_signing_keys(tx, now=now or tenant.now)


def published(tenant: Tenant, now: datetime) -> set[str]:
    with tenant.tx() as tx:
        return {jwk["kid"] for jwk in published_keys(tx, now=now)["keys"]}


def after(tenant: Tenant, seconds: float) -> datetime:
    return tenant.now + timedelta(seconds=seconds)


def test_a_new_key_is_published_at_once_and_signs_when_every_cached_set_has_it(acme: Tenant) -> None:
    [old] = keys(acme)
    new = rotate(acme)
    assert published(acme, acme.now) == {old.kid, new.kid}
    assert signing_key(keys(acme), after(acme, JWKS_LIFETIME_S - 1)).kid == old.kid
    assert signing_key(keys(acme), after(acme, JWKS_LIFETIME_S)).kid == new.kid


def test_a_replaced_key_verifies_until_the_last_token_that_it_signed_is_dead(acme: Tenant) -> None:
    [old] = keys(acme)
    new = rotate(acme)
    end = JWKS_LIFETIME_S + RETIRING_S
    assert published(acme, after(acme, end - 1)) == {old.kid, new.kid}
    assert published(acme, after(acme, end)) == {new.kid}
    assert RETIRING_S >= 300 + JWKS_LIFETIME_S


def test_a_second_rotation_shortens_nothing_and_prolongs_nothing(acme: Tenant) -> None:
    [old] = keys(acme)
    rotate(acme)
    clock_of(acme).forward(60)
    rotate(acme)
    until = {key.kid: key.verify_until for key in keys(acme)}
    assert until[old.kid] == after(acme, JWKS_LIFETIME_S + RETIRING_S - 60)
    assert sorted(until.values(), key=str)[-1] is None


@pytest.mark.promise(6)
def test_live_tokens_survive_any_number_of_rotations(acme: Tenant) -> None:
    token = acme.task_token()
    for _ in range(5):
        rotate(acme)
        clock_of(acme).forward(20)
    assert acme.is_live(token)
    assert acme.is_live(acme.task_token())


@pytest.mark.promise(8)
def test_a_tenant_has_at_most_so_many_keys_and_the_next_rotation_waits(acme: Tenant) -> None:
    for _ in range(KEYS_MAX - 1):
        rotate(acme)
    before = digest(acme)
    with pytest.raises(LimitExceeded):
        rotate(acme)
    assert digest(acme) == before
    clock_of(acme).forward(JWKS_LIFETIME_S + RETIRING_S + 1)
    rotate(acme)


@pytest.mark.promise(8)
def test_two_rotations_at_once_do_not_exceed_the_limit_and_every_key_is_published(acme: Tenant) -> None:
    for _ in range(KEYS_MAX - 2):
        rotate(acme)
    raised = together(*[lambda: rotate(acme)] * 4)
    assert [type(error) for error in raised if error] == [LimitExceeded] * 3
    assert len(published(acme, acme.now)) == KEYS_MAX == len(rows(acme, "SELECT kid FROM signing_keys"))


def test_a_rotation_is_told_without_the_key(acme: Tenant) -> None:
    new = rotate(acme)
    [event] = [each.event for each in acme.events(type="key.created")][-1:]
    assert event.detail == {"kid": new.kid, "alg": "ES256"}


def test_no_private_member_is_published(acme: Tenant) -> None:
    with acme.tx() as tx:
        for jwk in published_keys(tx, now=acme.now)["keys"]:
            assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}


# --- sealing ---------------------------------------------------------------------------------------------------


def test_a_private_half_opens_for_its_tenant_and_its_key_only(acme: Tenant, rival: Tenant) -> None:
    [ours] = keys(acme)
    assert KeyRing(SEAL).private(acme.seeded.id, ours).is_private
    wrong: list[tuple[EnvelopeEncryption, TenantId, SigningKey]] = [
        (SEAL, rival.seeded.id, ours),
        (SEAL, acme.seeded.id, replace(ours, kid="another")),
        (OTHER_SEAL, acme.seeded.id, ours),
    ]
    for encryption, tenant_id, key in wrong:
        with pytest.raises(Unavailable):
            KeyRing(encryption).private(tenant_id, key)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(11), bytes(12), bytes(27), bytes(200)], ids=len)
def test_what_was_never_sealed_does_not_open(acme: Tenant, sealed: bytes) -> None:
    with pytest.raises(Unavailable):
        SEAL.decrypt(sealed, tenant_id=acme.seeded.id, purpose="signing-key:x")


def test_the_same_secret_is_sealed_differently_each_time(acme: Tenant) -> None:
    seals = {SEAL.encrypt(b"x" * 32, tenant_id=acme.seeded.id, purpose="p") for _ in range(50)}
    assert len(seals) == len({sealed[:12] for sealed in seals}) == 50


def test_no_private_key_is_in_the_database_in_clear(acme: Tenant) -> None:
    [(sealed,)] = rows(acme, "SELECT sealed_private FROM signing_keys")
    assert b"PRIVATE" not in bytes(sealed)


@pytest.mark.promise(9)
def test_a_key_that_this_process_cannot_open_is_503_and_tells_no_more(acme: Tenant) -> None:
    rows(acme, "UPDATE signing_keys SET state = 'revoked'")
    with acme.tx() as tx:
        create_signing_key(tx, encryption=OTHER_SEAL, activates_at=acme.now, caller=ADMINISTRATOR, now=acme.now)
    answer: httpx2.Response = acme.ask(acme.agent("ocr-bot"), grant_type="client_credentials")
    assert answer.status_code == 503
    assert "IDENTITY" not in answer.text
    assert acme.http.get(f"/t/{acme.slug}/jwks").status_code == 200


def test_a_tenant_without_a_key_issues_nothing_and_says_503(acme: Tenant) -> None:
    rows(acme, "UPDATE signing_keys SET state = 'revoked'")
    assert acme.ask(acme.agent("ocr-bot"), grant_type="client_credentials").status_code == 503
    assert acme.http.get(f"/t/{acme.slug}/jwks").json() == {"keys": []}
