"""Two tenants with a source of each dialect, behind the SCIM edge on a real PostgreSQL."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.edge.headers import guard_every_answer
from identity.edge.runtime import Runtime
from identity.model.rate import Rate
from identity.store.transaction import make_engine
from scim.protected_resource import blueprint as protected_resource
from scim.routes import blueprint
from tests.scim.defined import Defined
from tests.scim.loading import Loader
from tests.scim.sources import BASE_URL, Clock, Source, Sources


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    encryption = EnvelopeEncryption(bytes(32))
    built = Runtime(
        engine=make_engine(database_url),
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


@pytest.fixture
def app(runtime: Runtime) -> Flask:
    application = Flask("scim-tests", static_folder=None)
    application.extensions["identity"] = runtime
    application.url_map.merge_slashes = False
    guard_every_answer(application)
    application.register_blueprint(blueprint)
    application.register_blueprint(protected_resource)
    return application


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
def sources(app: Flask, runtime: Runtime) -> Sources:
    return Sources(app, runtime)


@pytest.fixture
def rfc(sources: Sources) -> Source:
    return sources.make("acme", "rfc")


@pytest.fixture
def entra(sources: Sources) -> Source:
    return sources.make("acme", "entra")


@pytest.fixture
def okta(sources: Sources) -> Source:
    return sources.make("acme", "okta")


@pytest.fixture
def rival(sources: Sources) -> Source:
    return sources.make("rival", "rfc")


@pytest.fixture
def defined(runtime: Runtime, rfc: Source) -> Defined:
    return Defined(runtime, rfc)


@pytest.fixture
def loader(rfc: Source, base_url: str, tmp_path: Path) -> Loader:
    """The command that loads a file into the tenant acme."""
    return Loader(base_url, rfc.token, tmp_path / "people.ndjson")
