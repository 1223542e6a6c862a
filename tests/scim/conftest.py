"""Two tenants with a source of each dialect, behind the SCIM edge on a real PostgreSQL."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.edge.headers import guard_every_answer
from identity.edge.runtime import Runtime
from identity.model.ids import TenantId
from identity.model.rate import Rate
from identity.store.transaction import make_engine
from scim.protected_resource import blueprint as protected_resource
from scim.routes import blueprint
from tests.conftest import Server
from tests.scim.defined import Defined
from tests.scim.loading import Loader
from tests.scim.sources import BASE_URL, Clock, Source, Sources


@contextmanager
def running(url: str) -> Iterator[Runtime]:
    """What the SCIM edge shares on a database, with a clock of ours."""
    encryption = EnvelopeEncryption(bytes(32))
    built = Runtime(
        engine=make_engine(url),
        encryption=encryption,
        keys=KeyRing(encryption),
        upstream_keys=UpstreamKeys(_no_network),
        external_url=BASE_URL,
        admin_token_hash=None,
        clock=Clock(),
        scim_rate=Rate(per_s=1e6, burst=1e6),  # generic suites ask faster than any source may
        unknown_token_rate=Rate(per_s=1e6, burst=1e6),
    )
    yield built
    built.engine.dispose()


def _no_network(url: str) -> bytes:
    raise AssertionError(f"nothing here may fetch {url}")


def scim_app(runtime: Runtime) -> Flask:
    """The SCIM edge by itself."""
    application = Flask("scim-tests", static_folder=None)
    application.extensions["identity"] = runtime
    application.url_map.merge_slashes = False
    guard_every_answer(application)
    application.register_blueprint(blueprint)
    application.register_blueprint(protected_resource)
    return application


SOURCES = {"rfc": ("acme", "rfc"), "entra": ("acme", "entra"), "okta": ("acme", "okta"), "rival": ("rival", "rfc")}


@dataclass(frozen=True, slots=True)
class Planted:
    """A database that is only ever copied, the tenants in it, and the clock's time after they were made."""

    database: str
    tenants: Mapping[str, TenantId]
    now: datetime


@pytest.fixture(scope="session")
def planted_with(server: Server) -> Callable[[tuple[str, ...]], Planted]:
    """Plant the sources of these names, once for the tests that want the same ones."""

    @cache
    def plant(names: tuple[str, ...]) -> Planted:
        database = server.copy(prefix="sources")
        with running(server.url(database, role="identity_app")) as runtime:
            sources = Sources(scim_app(runtime), runtime)
            for name in names:
                sources.make(*SOURCES[name])
            return Planted(database, sources.tenants, runtime.clock.now)  # type: ignore[attr-defined]

    return plant


@pytest.fixture
def planted(request: pytest.FixtureRequest, planted_with: Callable[[tuple[str, ...]], Planted]) -> Planted:
    """What the database of this test begins with: the sources that its arguments name."""
    return planted_with(tuple(name for name in SOURCES if name in request.fixturenames))


@pytest.fixture
def database(server: Server, planted: Planted) -> Iterator[str]:
    """A fresh database with the sources of the test."""
    name = server.copy(planted.database)
    yield name
    server.drop(name)


@pytest.fixture
def runtime(database_url: str, planted: Planted) -> Iterator[Runtime]:
    with running(database_url) as built:
        built.clock.now = planted.now  # type: ignore[attr-defined]
        yield built


@pytest.fixture
def app(runtime: Runtime) -> Flask:
    return scim_app(runtime)


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    """Where the tenant acme's endpoint is reached over a socket."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/t/acme/scim/v2"
    server.shutdown()
    thread.join()


@pytest.fixture
def sources(app: Flask, runtime: Runtime, planted: Planted) -> Sources:
    return Sources(app, runtime, planted.tenants)


@pytest.fixture
def rfc(sources: Sources) -> Source:
    return sources.find(*SOURCES["rfc"])


@pytest.fixture
def entra(sources: Sources) -> Source:
    return sources.find(*SOURCES["entra"])


@pytest.fixture
def okta(sources: Sources) -> Source:
    return sources.find(*SOURCES["okta"])


@pytest.fixture
def rival(sources: Sources) -> Source:
    return sources.find(*SOURCES["rival"])


@pytest.fixture
def defined(runtime: Runtime, rfc: Source) -> Defined:
    return Defined(runtime, rfc)


@pytest.fixture
def loader(rfc: Source, base_url: str, tmp_path: Path) -> Loader:
    """The command that loads a file into the tenant acme."""
    return Loader(base_url, rfc.token, tmp_path / "people.ndjson")
