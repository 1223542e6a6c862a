"""`identity dev` once in a run, with two tenants that are set up alike."""

import shutil
import subprocess
from collections.abc import Iterator

import httpx2
import pytest

from dev.demo.upstream import UpstreamIssuer, serving
from tests.conformance.recipes import INSTALL, NODE_MODULES
from tests.conformance.stage import Party, free_port, identity_dev, set_up
from tests.conftest import Server

NODE_MAJOR_MIN = 20  # has Web Crypto and fetch without being asked for


@pytest.fixture(scope="session")
def mcp_url() -> str:
    """Where an MCP server may be started that is a resource server of both tenants."""
    return f"http://127.0.0.1:{free_port()}/mcp"


@pytest.fixture(scope="session")
def parties(server: Server, mcp_url: str) -> Iterator[dict[str, Party]]:
    """The tenants acme and rival of a running product, both trusting one upstream issuer."""
    name, upstream = server.copy(prefix="conformance"), UpstreamIssuer()
    with (
        identity_dev(server.url(name, role="identity_app"), server.url(name)) as base_url,
        serving(upstream.app) as upstream.url,
        httpx2.Client(timeout=20, trust_env=False) as http,
    ):
        yield {slug: set_up(http, base_url, slug, upstream, mcp_url) for slug in ("acme", "rival")}
    server.drop(name)


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js with what package-lock.json says. Skips where `make clients` did not install it."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not on the PATH, so its client libraries cannot be tried")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MAJOR_MIN:
        pytest.skip(f"node {version} is too old for its client libraries, which need {NODE_MAJOR_MIN}")
    if not (NODE_MODULES / ".ready").exists():
        pytest.skip(f"the client libraries of node are not installed: {INSTALL}")
    return found


@pytest.fixture
def acme(parties: dict[str, Party]) -> Party:
    return parties["acme"]


@pytest.fixture
def rival(parties: dict[str, Party]) -> Party:
    return parties["rival"]
