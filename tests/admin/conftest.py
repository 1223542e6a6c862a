"""Two tenants behind one admin API on a real PostgreSQL, and the principals that a source would have pushed."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from cli.main import main
from config.app import create_app
from config.settings import Settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.provisioning import create_principal
from identity.actions.signing_keys import KeyRing
from identity.actions.tenants import resolve_tenant
from identity.actions.upstream import UpstreamKeys
from identity.edge.runtime import Runtime
from identity.model.access import Caller, CallerKind
from identity.model.credential import hash_secret
from identity.model.ids import PLATFORM
from identity.model.principal import Kind, Profile
from identity.store.transaction import make_engine, transaction
from tests.conftest import Server

ADMIN_TOKEN = "an-administrator-of-the-tests-0123456789"
EXTERNAL_URL = "https://identity.example"
WORKER = Caller(CallerKind.WORKER, "tests", "request-of-tests")


@dataclass(slots=True)
class Clock:
    """The wall clock, moved by hand."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True, slots=True)
class Admin:
    """An administrator's view of one tenant, or of the platform when ``tenant`` is None."""

    http: FlaskClient
    tenant: str | None = None
    token: str = ADMIN_TOKEN

    def url(self, path: str) -> str:
        return f"/admin/v1/tenants/{self.tenant}{path}" if self.tenant else f"/admin/v1{path}"

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        if key is not None:
            sent["Idempotency-Key"] = key
        return self.http.open(self.url(path), method=method, json=body, headers=sent)

    def get(self, path: str, status: int = 200) -> Any:
        return _read(self.ask("GET", path), status)

    def post(self, path: str, body: Any = None, status: int = 201, **more: Any) -> Any:
        return _read(self.ask("POST", path, body if body is not None else {}, **more), status)

    def patch(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        return _read(self.ask("PATCH", path, body, **headers), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return _read(self.ask("DELETE", path), status)

    def events(self, **filters: str) -> list[dict[str, Any]]:
        query = "&".join(f"{name}={value}" for name, value in {"limit": "200", **filters}.items())
        found: list[dict[str, Any]] = self.get(f"/events?{query}")["items"]
        return found


def _read(response: TestResponse, status: int) -> Any:
    assert response.status_code == status, (response.status_code, response.text)
    if status == 204:
        assert response.data == b""
        return None
    kind = "application/json" if status < 400 else "application/problem+json"
    assert response.content_type == kind
    return json.loads(response.data)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def running(url: str, clock: Clock) -> Iterator[Runtime]:
    """What the edges share on a database."""
    encryption = EnvelopeEncryption(bytes(32))
    built = Runtime(
        engine=make_engine(url),
        encryption=encryption,
        keys=KeyRing(encryption),
        upstream_keys=UpstreamKeys(_no_network),
        external_url=EXTERNAL_URL,
        admin_token_hash=hash_secret(ADMIN_TOKEN),
        clock=clock,
    )
    yield built
    built.engine.dispose()


def _no_network(url: str) -> bytes:
    raise AssertionError(f"nothing here may fetch {url}")


RESOURCE = "https://erp.example"
PLANTED: dict[str, tuple[str | None, str, dict[str, Any]]] = {
    "acme": (None, "/tenants", {"slug": "acme", "display_name": "Acme"}),
    "rival": (None, "/tenants", {"slug": "rival", "display_name": "Rival"}),
    "resource": (
        "acme",
        "/resources",
        {"audience": RESOURCE, "scopes": ["invoices.read", "invoices.pay"], "authorization_details_types": ["invoice"]},
    ),
}
"""What is planted for the fixture of a name, and in which tenant."""


@pytest.fixture(scope="session")
def planted_with(server: Server) -> Callable[[tuple[str, ...]], str]:
    """Plant what these names stand for, once for the tests that want the same; return the database."""

    @cache
    def plant(names: tuple[str, ...]) -> str:
        database = server.copy(prefix="tenants")
        url = server.url(database, role="identity_app")
        with running(url, Clock()) as runtime:
            http = create_app(Settings(database_url=url), runtime).test_client()
            for tenant, path, body in map(PLANTED.__getitem__, names):
                Admin(http, tenant).post(path, body)
        return database

    return plant


@pytest.fixture
def database(
    server: Server, request: pytest.FixtureRequest, planted_with: Callable[[tuple[str, ...]], str]
) -> Iterator[str]:
    """A fresh database with the tenants that the test's arguments name."""
    name = server.copy(planted_with(tuple(name for name in PLANTED if name in request.fixturenames)))
    yield name
    server.drop(name)


@pytest.fixture
def runtime(database_url: str, clock: Clock) -> Iterator[Runtime]:
    with running(database_url, clock) as built:
        yield built


@pytest.fixture
def app(runtime: Runtime, database_url: str) -> Flask:
    return create_app(Settings(database_url=database_url), runtime)


@pytest.fixture
def platform(app: Flask) -> Admin:
    return Admin(app.test_client())


@pytest.fixture
def acme(platform: Admin) -> Admin:
    return Admin(platform.http, "acme")


@pytest.fixture
def rival(platform: Admin) -> Admin:
    return Admin(platform.http, "rival")


Provision = Callable[..., str]


@pytest.fixture
def provision(runtime: Runtime) -> Provision:
    """Write a principal as a source would: ``provision("acme", "user", "dana", owners=...)`` returns its id."""
    numbers = itertools.count(1)

    def write(tenant: str, kind: str, name: str | None = None, *, owners: tuple[str, ...] = ()) -> str:
        profile = Profile(
            document={"active": True},
            name=name or f"{kind}-{next(numbers)}",
            owners=frozenset(UUID(owner) for owner in owners),
        )
        with transaction(runtime.engine, PLATFORM) as tx:
            tenant_id = resolve_tenant(tx, tenant).id
        with transaction(runtime.engine, tenant_id) as tx:
            created = create_principal(tx, Kind(kind), profile, caller=WORKER, now=runtime.clock())
        return str(created.principal.id)

    return write


@pytest.fixture
def resource(acme: Admin) -> str:
    """A registered resource server of acme."""
    return RESOURCE


Run = Callable[..., Result]


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    """The URL of this installation, served by a thread."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def run(base_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the command ``identity`` as the administrator of this installation, without profiles."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.delenv("IDENTITY_PROFILE", raising=False)
    monkeypatch.setenv("IDENTITY_URL", base_url)
    monkeypatch.setenv("IDENTITY_ADMIN_TOKEN", ADMIN_TOKEN)

    def invoke(*words: str, exit_code: int = 0, **more: Any) -> Result:
        result = CliRunner().invoke(main, words, **more)
        assert result.exit_code == exit_code, (result.exit_code, result.output)
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def ask(run: Run) -> Callable[..., Any]:
    """Run a command with --json and return its document."""
    return lambda *words, **more: json.loads(run(*words, "--json", **more).stdout)


@pytest.fixture(scope="session")
def public_jwk() -> dict[str, Any]:
    """A public key that a client may register."""
    return {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "first"}
