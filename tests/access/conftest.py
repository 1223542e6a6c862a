"""Two tenants with everything in them, made once and copied for every test that changes something."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from config.app import create_app
from config.settings import load_settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.edge.runtime import Runtime
from identity.model.credential import hash_secret
from identity.model.rate import Rate
from identity.store.transaction import make_engine
from tests.access.owned_objects import (
    ADMIN_TOKEN,
    BEGIN,
    Belongings,
    Clock,
    Estate,
    kill_news,
    next_id,
    rows_of,
    settle,
)
from tests.conftest import Server

REFUSALS = frozenset({"events", "provisioning_requests"})


def _no_network(url: str) -> bytes:
    raise AssertionError(f"nothing here may fetch {url}")


@contextmanager
def _running(url: str) -> Iterator[Runtime]:
    encryption = EnvelopeEncryption(bytes(32))
    runtime = Runtime(
        engine=make_engine(url, pool_size=2),
        encryption=encryption,
        keys=KeyRing(encryption),
        upstream_keys=UpstreamKeys(_no_network),
        external_url="https://identity.example",
        admin_token_hash=hash_secret(ADMIN_TOKEN),
        scim_rate=Rate(per_s=100_000, burst=100_000),  # no request waits here
        unknown_token_rate=Rate(per_s=100_000, burst=100_000),
        clock=Clock(BEGIN + timedelta(seconds=5)),
    )
    yield runtime
    runtime.engine.dispose()


@dataclass(frozen=True, slots=True)
class Plan:
    """A database that is only ever copied, and what is in it."""

    database: str
    mine: Belongings
    rivals: Belongings
    nowhere: Belongings


def _settled(server: Server, *slugs: str) -> tuple[str, list[Belongings]]:
    name = server.copy(prefix="estate")
    url = server.url(name, role="identity_app")
    with _running(url) as runtime:
        app = create_app(load_settings(database_url=url), runtime)
        found = [settle(app.test_client(), slug) for slug in slugs]
    kill_news(server.url(name))
    return name, found


@pytest.fixture(scope="session")
def plan(server: Server) -> Plan:
    """What exists nowhere is made like all the rest, in an installation of its own."""
    _, [nowhere] = _settled(server, "nowhere")
    name, [mine, rivals] = _settled(server, "acme", "rival")
    nowhere["event"] = next_id(rivals["event"])  # a cursor: what counts is which of one's own ids come after it
    nowhere["provisioning_event"] = next_id(mine["provisioning_event"])
    return Plan(name, mine, rivals, nowhere)


@contextmanager
def _copied(server: Server, plan: Plan) -> Iterator[Estate]:
    name = server.copy(plan.database)
    url = server.url(name, role="identity_app")
    with _running(url) as runtime:
        app = create_app(load_settings(database_url=url), runtime)
        yield Estate(app, server.url(name), plan.mine, plan.rivals, plan.nowhere)
    server.drop(name)


@pytest.fixture
def sandbox(server: Server, plan: Plan) -> Iterator[Estate]:
    """Both tenants, in a copy of this test alone."""
    with _copied(server, plan) as copied:
        yield copied


@pytest.fixture(scope="module")
def _refusing_estate(server: Server, plan: Plan) -> Iterator[tuple[Estate, dict[str, str]]]:
    with _copied(server, plan) as copied:
        yield copied, rows_of(copied.owner_url, without=REFUSALS)


@pytest.fixture
def refusing_estate(_refusing_estate: tuple[Estate, dict[str, str]]) -> Iterator[Estate]:
    """Both tenants, for tests in which everything is refused or only read: not one row may change."""
    shared, before = _refusing_estate
    yield shared
    assert rows_of(shared.owner_url, without=REFUSALS) == before


@pytest.fixture(scope="module")
def _asking_estate(server: Server, plan: Plan) -> Iterator[tuple[Estate, dict[str, str]]]:
    with _copied(server, plan) as copied:
        yield copied, rows_of(copied.owner_url, "rival")


@pytest.fixture
def asking_estate(_asking_estate: tuple[Estate, dict[str, str]]) -> Iterator[Estate]:
    """Both tenants, for tests that ask for the rival's things: in its rows nothing may change, events included."""
    shared, before = _asking_estate
    yield shared
    assert rows_of(shared.owner_url, "rival") == before
