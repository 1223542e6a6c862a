"""Two tenants with a source of each dialect, behind the SCIM edge on a real PostgreSQL."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from identity.actions.keys import KeyRing
from identity.actions.sealing import Seal
from identity.actions.upstream import UpstreamKeys
from identity.http import House, guard_every_answer
from identity.model.rate import Rate
from identity.store.transaction import make_engine
from scim.protected_resource import blueprint as protected_resource
from scim.routes import blueprint
from tests.scim.defined import Defined
from tests.scim.loading import Loader
from tests.scim.sources import BASE_URL, Clock, Source, Sources


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    seal = Seal(bytes(32))
    built = House(
        engine=make_engine(database_url),
        seal=seal,
        keys=KeyRing(seal),
        upstream_keys=UpstreamKeys(_no_network),
        external_url=BASE_URL,
        admin_token_hash=None,
        clock=Clock(),
        scim_rate=Rate(per_s=1e6, burst=1e6),  # generic suites ask faster than any source may
        stranger_rate=Rate(per_s=1e6, burst=1e6),
    )
    yield built
    built.engine.dispose()


def _no_network(url: str) -> bytes:
    raise AssertionError(f"nothing here may fetch {url}")


@pytest.fixture
def app(house: House) -> Flask:
    application = Flask("scim-tests", static_folder=None)
    application.extensions["identity"] = house
    application.url_map.merge_slashes = False
    guard_every_answer(application)
    application.register_blueprint(blueprint)
    application.register_blueprint(protected_resource)
    return application


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    """Where the tenant acme's endpoint is reached over a socket."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/t/acme/scim/v2"
    server.shutdown()
    thread.join()


@pytest.fixture
def sources(app: Flask, house: House) -> Sources:
    return Sources(app, house)


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
def defined(house: House, rfc: Source) -> Defined:
    return Defined(house, rfc)


@pytest.fixture
def loader(rfc: Source, base_url: str, tmp_path: Path) -> Loader:
    """The command that loads a file into the tenant acme."""
    return Loader(base_url, rfc.token, tmp_path / "people.ndjson")
