"""Keys of an upstream issuer by URL: fetched when needed, never within a transaction, never more often than that."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from identity_verifier import FetchError
from joserfc.jwk import ECKey
from loopback import LoopbackServer, loopback_server

from identity.actions.connections import list_connections
from identity.actions.upstream import UpstreamKeys, UpstreamKeysNeeded
from identity.model.errors import Unavailable
from tests.fixtures import ERP, TYPE, Tenant, TwoTenants, trust
from tests.upstream_issuer import PORTAL, Upstream

ISSUER = "https://other-login.example"


@pytest.fixture
def origin() -> Iterator[LoopbackServer]:
    """The server on which the upstream issuer publishes its keys."""
    with loopback_server() as server:
        yield server


@pytest.fixture
def upstream(two_tenants: TwoTenants, origin: LoopbackServer) -> Upstream:
    made = Upstream(ISSUER, ECKey.generate_key("P-256"))
    origin.says(made.jwks)
    for tenant in (two_tenants.acme, two_tenants.rival):
        with tenant.tx() as tx:
            trust(tx, ISSUER, jwks_uri=f"{origin.url}/keys")
    return made


def exchange(tenant: Tenant, upstream: Upstream, **header: Any) -> httpx2.Response:
    token = upstream.sign(tenant.now, header=header, aud=PORTAL)
    return tenant.exchange("ocr-bot", token, subject_token_type=f"{TYPE}id_token", resource=ERP)


def test_keys_are_fetched_once_and_kept(two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer) -> None:
    for _ in range(3):
        assert exchange(two_tenants.acme, upstream).status_code == 200
    assert origin.request_count == 1
    two_tenants.clock.forward(299)
    assert exchange(two_tenants.acme, upstream).status_code == 200
    assert origin.request_count == 1
    two_tenants.clock.forward(1)
    assert exchange(two_tenants.acme, upstream).status_code == 200
    assert origin.request_count == 2, "so that a key that was taken back is not believed for long"


def test_each_tenant_has_its_own_keys(two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer) -> None:
    assert exchange(two_tenants.acme, upstream).status_code == 200
    assert exchange(two_tenants.rival, upstream).status_code == 200
    assert origin.request_count == 2


def test_a_new_key_of_the_issuer_is_found_at_once(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    assert exchange(two_tenants.acme, upstream).status_code == 200
    rotated = replace(upstream, key=ECKey.generate_key("P-256"), kid="login-2")
    origin.says(rotated.jwks)
    two_tenants.clock.forward(11)
    assert exchange(two_tenants.acme, rotated).status_code == 200
    assert exchange(two_tenants.acme, upstream).json()["error"] == "invalid_request", "the old one is gone"


def test_random_kids_do_not_hammer_the_issuer(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    assert exchange(two_tenants.acme, upstream).status_code == 200
    for number in range(30):
        two_tenants.clock.forward(0.3)
        assert exchange(two_tenants.acme, upstream, kid=f"random-{number}").json()["error"] == "invalid_request"
    assert origin.request_count == 1
    two_tenants.clock.forward(1.5)
    assert exchange(two_tenants.acme, upstream, kid="random").json()["error"] == "invalid_request"
    assert origin.request_count == 2
    assert exchange(two_tenants.acme, upstream).status_code == 200


def test_many_at_once_share_one_fetch_and_none_is_turned_away(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    origin.answer.gate = threading.Event()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(exchange, two_tenants.acme, upstream) for _ in range(8)]
        while not origin.requests:
            origin.answer.gate.wait(0.01)
        origin.answer.gate.set()
        assert {each.result().status_code for each in asked} == {200}
    assert origin.request_count == 1


def test_keys_that_are_known_serve_while_they_are_fetched_anew(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    assert exchange(two_tenants.acme, upstream).status_code == 200
    two_tenants.clock.forward(301)
    origin.answer.gate = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(exchange, two_tenants.acme, upstream)
        while origin.request_count < 2:
            origin.answer.gate.wait(0.01)
        assert exchange(two_tenants.acme, upstream).status_code == 200
        assert not first.done()
        origin.answer.gate.set()
        assert first.result().status_code == 200


def test_an_issuer_that_never_answered_is_unavailable_and_not_asked_again_at_once(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    origin.says({}, status=500)
    for _ in range(3):
        answer = exchange(two_tenants.acme, upstream)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["Retry-After"]
    assert origin.request_count == 1
    assert two_tenants.acme.exchange("ocr-bot").status_code == 200, "other issuers are not touched by it"
    origin.says(upstream.jwks)
    two_tenants.clock.forward(10)
    assert exchange(two_tenants.acme, upstream).status_code == 200


def test_an_assertion_serves_for_both_tries_of_one_request(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    token = upstream.sign(two_tenants.acme.now)
    answer = two_tenants.acme.exchange("invoice-bot", token, subject_token_type=f"{TYPE}id_token", resource=ERP)
    assert answer.status_code == 200
    assert origin.request_count == 1


def test_keys_that_were_good_serve_for_an_hour_of_silence_and_no_longer(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    assert exchange(two_tenants.acme, upstream).status_code == 200
    origin.says({}, status=503)
    two_tenants.clock.forward(3_599)
    assert exchange(two_tenants.acme, upstream).status_code == 200
    two_tenants.clock.forward(1)
    assert exchange(two_tenants.acme, upstream).status_code == 503


def test_keys_older_than_their_maximal_age_are_not_handed_out_while_others_fetch(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    """A key that the issuer withdrew long ago signs nothing, not even for as long as its key set does not answer."""
    assert exchange(two_tenants.acme, upstream).status_code == 200
    origin.says(replace(upstream, key=ECKey.generate_key("P-256"), kid="login-2").jwks)
    origin.answer.gate = threading.Event()
    two_tenants.clock.forward(30 * 86_400)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(exchange, two_tenants.acme, upstream, kid="made-up")
        while origin.request_count < 2:
            origin.answer.gate.wait(0.01)
        withdrawn = threads.submit(exchange, two_tenants.acme, upstream)
        origin.answer.gate.wait(0.3)
        assert not withdrawn.done(), "it waits for the fetch, and is not decided on old keys"
        origin.answer.gate.set()
        assert first.result().status_code == 400
        assert (withdrawn.result().status_code, withdrawn.result().json()["error"]) == (400, "invalid_request")
    assert origin.request_count == 2


AGES = [(-3_600, None), (-3_599, True), (-301, True), (0, True), (299, True), (301, True), (3_599, True), (3_600, None)]


@pytest.mark.parametrize(("age_s", "serves"), AGES)
@pytest.mark.parametrize("is_being_fetched", [False, True])
@pytest.mark.parametrize("was_just_tried", [False, True])
def test_no_branch_hands_out_keys_beyond_their_maximal_age(
    two_tenants: TwoTenants,
    upstream: Upstream,
    age_s: int,
    serves: bool | None,
    is_being_fetched: bool,
    was_just_tried: bool,
) -> None:
    """By age, the clock set back included; while a fetch hangs or not; after a fetch that failed or none."""
    acme, now = two_tenants.acme, two_tenants.acme.now
    with acme.tx() as tx:
        connection = next(found for found in list_connections(tx, after=None, limit=50) if found.issuer == ISSUER)
    keys = UpstreamKeys(lambda _: json.dumps(upstream.jwks).encode())
    keys.refresh(acme.seeded.id, connection, now)
    later = now + timedelta(seconds=age_s)
    if was_just_tried:
        keys.fetch = failing
        keys.refresh(acme.seeded.id, connection, later)
    for cached in (*keys._cache._recent.values(), *keys._cache._earlier.values()) if is_being_fetched else ():
        cached.lock.acquire()
    try:
        found = keys.find(acme.seeded.id, connection, upstream.kid, later)
    except (UpstreamKeysNeeded, Unavailable):
        found = None
    assert found is None if serves is None else found is not None or abs(age_s) >= 300


def failing(url: str) -> bytes:
    raise FetchError("the issuer does not answer")


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"[]", b"{}", b'{"keys":[]}', b'{"keys":{}}', b'{"keys":[{"kty":"oct","k":"AA","kid":"login-1"}]}',
     b"\xff\xfe", b"[" * 60_000, b'{"keys":[' + b"1," * 20_000 + b"1]}", b"x" * 70_000],
    ids=range(11),
)  # fmt: skip
def test_a_broken_key_set_is_as_good_as_none(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer, document: bytes
) -> None:
    origin.answer.body = document
    assert exchange(two_tenants.acme, upstream).status_code == 503


def test_no_transaction_is_open_while_the_issuer_is_asked(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    origin.answer.gate = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(exchange, two_tenants.acme, upstream)
        while not origin.requests:
            origin.answer.gate.wait(0.01)
        assert two_tenants.runtime.engine.pool.checkedout() == 0
        origin.answer.gate.set()
        assert asked.result().status_code == 200


def test_nobody_unauthenticated_makes_us_ask_an_issuer(
    two_tenants: TwoTenants, upstream: Upstream, origin: LoopbackServer
) -> None:
    token = upstream.sign(two_tenants.acme.now, header={"kid": "random"})
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": token,
            "subject_token_type": f"{TYPE}id_token", "resource": ERP}  # fmt: skip
    bot = two_tenants.acme.agent("ocr-bot")
    for auth in (None, (bot.client_id, "wrong")):
        assert two_tenants.acme.http.post("/t/acme/oauth/token", data=form, auth=auth).status_code == 401
    assert origin.requests == []
