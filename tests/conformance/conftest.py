"""`identity dev` once in a run, with two tenants that are set up alike."""

from collections.abc import Iterator
from uuid import uuid4

import httpx2
import pytest

from dev.demo.neighbours import UpstreamIssuer, serving
from tests.conformance.stage import Party, identity_dev, set_up
from tests.conftest import TEMPLATE, Server


@pytest.fixture(scope="session")
def parties(server: Server) -> Iterator[dict[str, Party]]:
    """The tenants acme and rival of a running product, both trusting one upstream issuer."""
    name, upstream = f"conformance_{uuid4().hex}", UpstreamIssuer()
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    with (
        identity_dev(server.url(name, role="identity_app"), server.url(name)) as base_url,
        serving(upstream.app) as upstream.url,
        httpx2.Client(timeout=20, trust_env=False) as http,
    ):
        yield {slug: set_up(http, base_url, slug, upstream) for slug in ("acme", "rival")}
    server.drop(name)


@pytest.fixture
def acme(parties: dict[str, Party]) -> Party:
    return parties["acme"]


@pytest.fixture
def rival(parties: dict[str, Party]) -> Party:
    return parties["rival"]
