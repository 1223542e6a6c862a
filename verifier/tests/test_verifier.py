"""The verifier against a real HTTP server: rotation, outage, floods and hostile answers."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from identity_verifier import ConfigurationError, FetchError, Rule, VerificationError, Verifier, fetch_document
from identity_verifier import fetch as fetch_module
from local_issuer import AUDIENCE, ISSUER, NOW, RIVAL, LocalIssuer, changed_claims
from loopback import Answer, LoopbackServer


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class World:
    """A verifier, the clock it reads and the server it asks."""

    def __init__(self, server: LoopbackServer) -> None:
        self.server = server
        self.clock = Clock()
        self.signer = LocalIssuer("first")
        self.publish(self.signer)
        self.verifier = self.make_verifier()

    def make_verifier(self, **options: Any) -> Verifier:
        options = {"jwks_uri": f"{self.server.url}/jwks", "clock": self.clock, **options}
        return Verifier(ISSUER, AUDIENCE, **options)

    def publish(self, *signers: LocalIssuer) -> None:
        self.server.says({"keys": [signer.public_jwk() for signer in signers]})

    def token(self, signer: LocalIssuer | None = None, **header: Any) -> str:
        issued_at = int(self.clock.now.timestamp())
        return (signer or self.signer).sign(changed_claims(iat=issued_at, exp=issued_at + 120), **header)

    def refused_rule(self, token: str) -> Rule:
        with pytest.raises(VerificationError) as refusal:
            self.verifier.verify(token)
        return refusal.value.rule


@pytest.fixture
def world(server: LoopbackServer) -> World:
    return World(server)


def test_the_keys_are_fetched_once_for_many_tokens(world):
    for _ in range(5):
        assert world.verifier.verify(world.token()).subject == "2819c223-7f76"
    assert world.server.requests == [("GET", "/jwks", b"")]


def test_nothing_is_fetched_before_the_first_token_or_for_rubbish(world):
    for rubbish in ("", "a.b.c", world.token(typ="JWT"), world.token(alg="none"), world.token(crit=["exp"])):
        world.refused_rule(rubbish)
    assert world.server.request_count == 0


def test_by_default_the_keys_lie_under_the_issuer():
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return json.dumps(LocalIssuer().key_set()).encode()

    with pytest.raises(VerificationError):
        Verifier(ISSUER, AUDIENCE, fetch=fetch).verify(LocalIssuer("other").sign())
    assert asked == [f"{ISSUER}/jwks"]


def test_a_key_published_after_rotation_is_found_at_its_first_token(world):
    world.verifier.verify(world.token())
    second = LocalIssuer("second")
    world.publish(world.signer, second)
    world.clock.passes(10)
    world.verifier.verify(world.token(second))
    world.verifier.verify(world.token())
    assert world.server.request_count == 2


def test_a_withdrawn_key_is_refused_within_the_key_lifetime(world):
    world.verifier.verify(world.token())
    world.publish(LocalIssuer("second"))
    world.clock.passes(299)
    world.verifier.verify(world.token())
    world.clock.passes(1)
    assert world.refused_rule(world.token()) is Rule.KEY


def test_a_flood_of_random_kids_costs_the_issuer_one_request_per_interval(world):
    world.verifier.verify(world.token())
    for second in range(30):
        for number in range(20):
            assert world.refused_rule(world.token(kid=f"random-{second}-{number}")) is Rule.KEY
        world.clock.passes(1)
    assert world.server.request_count == 1 + 2  # the first fetch, then at 10 s and at 20 s


def test_a_flood_of_random_kids_does_not_disturb_good_tokens(world):
    world.verifier.verify(world.token())
    world.server.answer.gate = gate = threading.Event()
    world.clock.passes(10)
    with ThreadPoolExecutor(4) as pool:
        flood = [pool.submit(world.refused_rule, world.token(kid=f"random-{number}")) for number in range(4)]
        wait_until(lambda: world.server.request_count == 2)
        world.verifier.verify(world.token())  # while the flood's one request hangs
        assert not any(future.done() for future in flood)
        gate.set()
        assert {future.result() for future in flood} == {Rule.KEY}
    assert world.server.request_count == 2


def test_who_holds_a_usable_key_does_not_wait_while_another_refreshes(world):
    world.verifier.verify(world.token())
    world.server.answer.gate = gate = threading.Event()
    world.clock.passes(300)
    with ThreadPoolExecutor(1) as pool:
        refreshing = pool.submit(world.verifier.verify, world.token())
        wait_until(lambda: world.server.request_count == 2)
        world.verifier.verify(world.token())
        assert not refreshing.done()
        gate.set()
        refreshing.result()


def test_keys_older_than_a_day_do_not_serve_while_another_refreshes(world):
    withdrawn = world.signer
    world.verifier.verify(world.token())
    world.publish(LocalIssuer("second"))
    world.server.answer.gate = gate = threading.Event()
    world.clock.passes(86_400)
    with ThreadPoolExecutor(2) as pool:
        refreshing = pool.submit(world.refused_rule, world.token())
        wait_until(lambda: world.server.request_count == 2)
        late = pool.submit(world.refused_rule, world.token(withdrawn))
        gate.set()
        assert {refreshing.result(), late.result()} == {Rule.KEY}


def test_many_first_tokens_at_once_share_one_fetch(world):
    world.server.answer.gate = gate = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(world.verifier.verify, world.token()) for _ in range(8)]
        wait_until(lambda: world.server.request_count == 1)
        gate.set()
        assert {future.result().token_id for future in waiting} == {"tok_01"}
    assert world.server.request_count == 1


def test_while_the_issuer_is_unreachable_known_keys_serve_for_a_day_and_no_longer(world):
    world.verifier.verify(world.token())
    world.server.answer = Answer(status=503)
    world.clock.passes(86_399)
    world.verifier.verify(world.token())
    world.clock.passes(1)
    assert world.refused_rule(world.token()) is Rule.KEYS_UNAVAILABLE


def test_when_the_issuer_comes_back_so_do_its_keys(world):
    world.server.answer = Answer(status=503)
    assert world.refused_rule(world.token()) is Rule.KEYS_UNAVAILABLE
    world.publish(world.signer)
    assert world.refused_rule(world.token()) is Rule.KEYS_UNAVAILABLE  # not asked again so soon
    world.clock.passes(10)
    world.verifier.verify(world.token())
    assert world.server.request_count == 2


def test_an_unreachable_issuer_is_not_asked_for_every_token(world):
    world.verifier.verify(world.token())
    world.server.answer = Answer(status=503)
    world.clock.passes(300)
    for _ in range(20):
        world.verifier.verify(world.token())
    assert world.server.request_count == 2


def test_a_stopped_server_is_an_outage_that_names_its_cause(world):
    world.server.stop()
    with pytest.raises(VerificationError) as refusal:
        world.verifier.verify(world.token())
    assert refusal.value.rule is Rule.KEYS_UNAVAILABLE
    assert refusal.value.is_unavailable
    assert isinstance(refusal.value.__cause__, FetchError)


def test_a_clock_set_back_does_not_keep_the_keys_longer(world):
    world.verifier.verify(world.token())
    world.clock.passes(-3600)
    world.verifier.verify(world.token())
    assert world.server.request_count == 2


HOSTILE = {
    "redirect": Answer(b"", 302, {"Location": "/elsewhere"}),
    "redirect to metadata": Answer(b"", 307, {"Location": "http://169.254.169.254/"}),
    "not json": Answer(b"<html>sign in</html>"),
    "over 64 kB": Answer(json.dumps({"keys": [LocalIssuer("first").public_jwk()], "padding": "x" * 65_536}).encode()),
    "partial": Answer(json.dumps(LocalIssuer("first").key_set()).encode(), 206),
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_gives_no_key_and_is_not_followed(world, answer):
    world.server.answer = answer
    with pytest.raises(ConfigurationError):
        world.verifier.verify(world.token())
    assert [path for _, path, _ in world.server.requests] == ["/jwks"]


def test_an_issuer_without_a_usable_key_cannot_be_used_now(world):
    world.server.says({"keys": []})
    assert world.refused_rule(world.token()) is Rule.KEYS_UNAVAILABLE
    world.publish(world.signer)
    world.clock.passes(10)
    world.verifier.verify(world.token())


def test_a_hostile_answer_does_not_cost_the_keys_already_held(world):
    world.verifier.verify(world.token())
    world.server.answer = Answer(b"not json")
    world.clock.passes(300)
    world.verifier.verify(world.token())


def test_an_answer_that_drips_is_given_up(server, monkeypatch):
    monkeypatch.setattr(fetch_module, "TIMEOUT_S", 0.1)
    server.answer = Answer(b"x" * 400, drip_s=0.01)
    with pytest.raises(FetchError, match="slower"):
        fetch_document(server.url)


def test_the_request_carries_no_cookie_and_asks_for_plain_bytes(server):
    server.says({}, headers={"Set-Cookie": "a=b; Path=/"})
    fetch_document(server.url)
    fetch_document(server.url)
    assert "cookie" not in server.last_headers
    assert server.last_headers["accept-encoding"] == "identity"


def test_a_proxy_in_the_environment_is_not_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    fetch_module.client.cache_clear()
    server.says({"keys": []})
    assert fetch_document(server.url) == b'{"keys": []}'
    fetch_module.client.cache_clear()


@pytest.mark.parametrize(
    ("jwks_uri", "options"),
    [
        ("https://id.example/jwks", {}),
        ("http://127.0.0.1:8000/jwks", {}),
        ("http://localhost/jwks", {}),
        ("http://[::1]:8000/jwks", {}),
        ("http://identity:8000/jwks", {"allow_plain_http": True}),
    ],
)
def test_loopback_and_a_network_declared_safe_may_be_plain(jwks_uri, options):
    Verifier(ISSUER, AUDIENCE, jwks_uri=jwks_uri, **options)


def test_two_tenants_each_have_their_own_verifier_and_their_own_keys(world, rival):
    rivals_claims = changed_claims(iss=RIVAL, tenant="rival")
    assert world.refused_rule(rival.sign(kid="first")) is Rule.SIGNATURE
    assert world.refused_rule(world.signer.sign(rivals_claims)) is Rule.ISSUER
    for_rival = Verifier(RIVAL, AUDIENCE, clock=world.clock, fetch=lambda _: json.dumps(rival.key_set()).encode())
    assert for_rival.verify(rival.sign(rivals_claims)).tenant == "rival"
    with pytest.raises(VerificationError):
        for_rival.verify(world.token())


def wait_until(condition: Any) -> None:
    """Wait for another thread to get somewhere; fails after 10 s."""
    ticks = threading.Event()
    for _ in range(2000):
        if condition():
            return
        ticks.wait(0.005)
    raise AssertionError("it never came true")
