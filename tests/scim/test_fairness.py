"""While one tenant floods, whatever it floods with, the others are served; counted, and never timed."""

import dataclasses
import json
import threading
from collections.abc import Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from identity.actions.bounded_cache import BoundedCache
from identity.actions.connections import rotate_connection_token
from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import ConcurrencyLimiter
from identity.edge.runtime import Runtime
from identity.model.errors import RateLimited
from identity.model.rate import Rate
from identity.store.transaction import transaction
from scim.authentication import BULKS_MAX, TENANT_SHARE
from tests.scim.sources import ADMINISTRATOR, ERROR, USER, Source, Sources
from tests.statement_counter import round_trips

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
MAX_RUNNING, MAX_QUEUED = 8, 4
RATE = Rate(per_s=0.001, burst=5)  # in the time of a test nothing comes back


@pytest.fixture
def runtime(runtime: Runtime) -> Runtime:
    return dataclasses.replace(runtime, limiter=ConcurrencyLimiter(MAX_RUNNING, MAX_QUEUED, queue_timeout_s=0))


def bulk_of(number: int) -> dict[str, object]:
    users = [{"method": "POST", "path": "/Users", "bulkId": str(n), "data": {"schemas": [USER], "userName": f"b{n}"}}
             for n in range(number)]  # fmt: skip
    return {"schemas": [BULK], "Operations": users}


@pytest.fixture(autouse=True)
def door(app: Flask, runtime: Runtime) -> None:
    """The application behind the limiter, as it is served."""
    app.wsgi_app = AdmissionMiddleware(app.wsgi_app, runtime.limiter, runtime.tenants)  # type: ignore[method-assign]


@contextmanager
def busy(runtime: Runtime, source: Source, number: int = MAX_RUNNING // 2) -> Iterator[None]:
    """Requests of a tenant that have their turn and do not end."""
    with ExitStack() as held:
        for _ in range(number):
            held.enter_context(runtime.limiter.slot((source.tenant, "scim")))
        yield


# --- turns ---


def test_who_has_all_its_places_busy_is_told_to_wait_and_the_other_tenant_is_served(
    rfc: Source, rival: Source, runtime: Runtime
) -> None:
    rfc.get("/Users")  # the process meets the tenant
    with busy(runtime, rfc), round_trips(runtime.engine) as seen:
        refused = rfc.ask("GET", "/Users")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert json.loads(refused.data)["schemas"] == [ERROR]
        assert rfc.ask("POST", "/Users", {"schemas": [USER], "userName": "sam"}).status_code == 429
        assert len(seen) == 0  # it cost no look at the database, and is in no trail
        for _ in range(30):
            assert rival.ask("GET", "/Users").status_code == 200
        assert rival.user("sam")
    assert rfc.get("/Users")["totalResults"] == 0


def test_who_provisions_too_much_takes_no_turn_of_other_surfaces(rfc: Source, runtime: Runtime) -> None:
    rfc.get("/Users")
    with busy(runtime, rfc):
        for path in ("/t/acme/oauth/token", "/admin/v1/tenants", "/readyz", "/t/acme/jwks"):
            assert rfc.http.get(path).status_code == 404  # these tests serve nothing but SCIM: it got as far as that


def test_who_makes_up_tenants_has_one_turn_with_all_who_do(rfc: Source, runtime: Runtime) -> None:
    rfc.get("/Users")
    with ExitStack() as held:
        for _ in range(MAX_RUNNING // 2):
            held.enter_context(runtime.limiter.slot((None, "scim")))
        answers = [rfc.http.get(f"/t/nobody-{number}/scim/v2/Users").status_code for number in range(5)]
        assert answers == [429] * 5
        assert rfc.ask("GET", "/Users").status_code == 200


@pytest.mark.parametrize(
    ("path", "party", "content_type"),
    [
        ("/t/acme/scim/v2/Users", ("acme", "scim"), "application/scim+json"),
        ("/t/acme/oauth/token", ("acme", "oauth"), "application/json"),
        ("/t/nobody/scim/v2/Users", (None, "scim"), "application/scim+json"),
        ("/admin/v1/tenants", "admin", "application/problem+json"),
        ("/t/acme/jwks", ("acme", "other"), "application/problem+json"),
        ("/t/acme/.well-known/jwks.json", ("acme", "other"), "application/problem+json"),
        ("/t/acme/oauth/authorize", ("acme", "oauth"), "application/json"),
        ("/t/acme", ("acme", "other"), "application/problem+json"),
        ("/t/nobody/jwks", (None, "other"), "application/problem+json"),
        ("/.well-known/openid-configuration/t/acme", ("acme", "other"), "application/problem+json"),
        ("/.well-known/oauth-protected-resource/t/acme/scim/v2", ("acme", "other"), "application/problem+json"),
        ("/.well-known/x/t/nobody", (None, "other"), "application/problem+json"),
        ("/t/", None, "application/problem+json"),
        ("/", None, "application/problem+json"),
    ],
)
def test_each_surface_refuses_in_its_own_form(path: str, party: Hashable, content_type: str) -> None:
    limiter = ConcurrencyLimiter(max_running=2, max_queued=0)
    door = AdmissionMiddleware(lambda environ, start: [], limiter, {"acme"})
    told: list[Any] = []
    with limiter.slot(party), limiter.slot("somebody"):
        [body] = door({"PATH_INFO": path}, lambda *heading: told.extend(heading))  # type: ignore[arg-type, func-returns-value, return-value]
    assert told[0] == "429 TOO MANY REQUESTS"
    assert dict(told[1])["Content-Type"] == content_type
    assert dict(told[1])["Content-Length"] == str(len(body))
    assert isinstance(json.loads(body), dict)


def test_turns_are_given_to_who_waits_as_others_end() -> None:
    limiter = ConcurrencyLimiter(max_running=2, max_queued=8, queue_timeout_s=30)
    begun: list[str] = []
    with ThreadPoolExecutor(4) as crowd:

        def work(party: str) -> None:
            with limiter.slot(party):
                begun.append(party)

        with limiter.slot("a"):
            waiting = [crowd.submit(work, "a") for _ in range(2)]
            while len(limiter._queue) < 2:
                threading.Event().wait(0.001)
            work("b")  # there is a place for who has none
        for one in waiting:
            one.result()
    assert begun == ["b", "a", "a"]
    assert not limiter._queue
    assert not limiter._running


def test_a_seat_is_given_up_by_who_has_waited_long_enough_and_seats_are_shared_out_too() -> None:
    limiter = ConcurrencyLimiter(max_running=2, max_queued=2, queue_timeout_s=0)
    with limiter.slot("a"), pytest.raises(RateLimited), limiter.slot("a"):
        raise AssertionError("there was no turn")
    assert not limiter._queue


# --- buckets ---


@pytest.fixture
def strict(runtime: Runtime, rfc: Source) -> Iterator[Runtime]:
    """The house with little in every bucket."""
    made = dataclasses.replace(runtime, scim_rate=RATE, unknown_token_rate=RATE, known_tokens=BoundedCache(100))
    rfc.http.application.extensions["identity"] = made
    yield made
    rfc.http.application.extensions["identity"] = runtime


def another_token(source: Source, runtime: Runtime) -> Source:
    """Rotate: both tokens live for a day."""
    token = f"token-{uuid4().hex}"
    with transaction(runtime.engine, source.tenant_id) as tx:
        connection_id = tx.execute(
            text("SELECT connection_id FROM connection_tokens WHERE tenant_id = :tenant LIMIT 1"),
            {"tenant": tx.tenant_id},
        ).scalar_one()
        rotate_connection_token(
            tx, connection_id, token=token, overlap_s=3_600, caller=ADMINISTRATOR, now=runtime.clock()
        )
    return dataclasses.replace(source, token=token)


def test_a_rotated_token_has_no_bucket_of_its_own(rfc: Source, strict: Runtime) -> None:
    rotated = another_token(rfc, strict)
    answers = [source.ask("GET", "/Users").status_code for source in (rfc, rotated) * 4]
    assert answers == [200] * 5 + [429] * 3


def test_who_asks_too_often_costs_no_look_at_the_database(rfc: Source, strict: Runtime) -> None:
    for _ in range(5):
        rfc.get("/Users")
    with round_trips(strict.engine) as seen:
        assert rfc.ask("GET", "/Users").status_code == 429
    assert len(seen) == 0


def test_many_connections_of_a_tenant_have_one_bucket_above_theirs(
    sources: Sources, strict: Runtime, rival: Source
) -> None:
    welcoming = dataclasses.replace(strict, unknown_token_rate=Rate(per_s=1e6, burst=1e6))
    rival.http.application.extensions["identity"] = welcoming
    crowd = [sources.make("acme", "rfc", name=f"s{number}") for number in range(TENANT_SHARE + 2)]
    answers = [source.ask("GET", "/Users").status_code for source in crowd for _ in range(int(RATE.burst))]
    assert answers.count(200) == RATE.burst * TENANT_SHARE
    assert set(answers) == {200, 429}
    assert rival.ask("GET", "/Users").status_code == 200


def test_guesses_are_told_to_wait_before_they_cost_a_look_and_who_is_known_is_served_on(
    rfc: Source, rival: Source, strict: Runtime
) -> None:
    rfc.get("/Users")
    answers = [dataclasses.replace(rfc, token=f"guess-{n}").ask("GET", "/Users").status_code for n in range(6)]
    assert answers == [401] * 4 + [429] * 2
    with round_trips(strict.engine) as seen:
        for guess in ("guess", "a.b.c", "." * 100):
            assert dataclasses.replace(rfc, token=guess).ask("GET", "/Users").status_code == 429
    assert len(seen) == 0
    assert rfc.ask("GET", "/Users").status_code == 200
    assert rival.ask("GET", "/Users").status_code == 200  # strangers to one tenant are none to another


def test_of_long_bulks_a_connection_does_few_at_a_time_and_its_tenant_few_together(
    rfc: Source, entra: Source, rival: Source, runtime: Runtime
) -> None:
    def connection_of(source: Source) -> object:
        known = [*runtime.known_tokens._recent.items(), *runtime.known_tokens._earlier.items()]
        return next(value for (tenant, _), value in known if tenant == source.tenant_id)

    rfc.get("/Users")
    mine = (rfc.tenant_id, connection_of(rfc))
    with ExitStack() as held:
        for _ in range(BULKS_MAX):
            held.enter_context(runtime.bulk_quota.slot(mine, most=BULKS_MAX))
        refused = rfc.ask("POST", "/Bulk", bulk_of(1))
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        assert rfc.ask("GET", "/Users").status_code == 200
        assert entra.ask("POST", "/Bulk", bulk_of(1)).status_code == 200
        for _ in range(MAX_RUNNING // 2 - 1):
            held.enter_context(runtime.bulk_quota.slot(rfc.tenant_id, most=MAX_RUNNING))
        assert entra.ask("POST", "/Bulk", bulk_of(1)).status_code == 429
        assert rival.ask("POST", "/Bulk", bulk_of(1)).status_code == 200
    assert rfc.ask("POST", "/Bulk", bulk_of(1)).status_code == 200
