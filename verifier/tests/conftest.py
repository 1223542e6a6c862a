from collections.abc import Iterator

import pytest
from local_issuer import LocalIssuer
from loopback import LoopbackServer, loopback_server


@pytest.fixture(scope="session")
def rival() -> LocalIssuer:
    """Another tenant's issuer. Its key has the same kid, as nothing stops it from choosing that."""
    return LocalIssuer()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with loopback_server() as running:
        yield running
