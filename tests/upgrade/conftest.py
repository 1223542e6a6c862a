"""The application in this process, over a database of whatever schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx2
import pytest

from config.settings import load_settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.edge.runtime import utc_now
from tests.fixtures import make_runtime, serve
from tests.upgrade.flows import Day

SEAL = EnvelopeEncryption(bytes(32))


@contextmanager
def served(url: str) -> Iterator[httpx2.Client]:
    """Serve the application to a client, with the machine's clock."""
    runtime = replace(make_runtime(url, SEAL), clock=utc_now)
    with serve(runtime, load_settings(database_url=url)) as web:
        yield web.http
    runtime.engine.dispose()


@pytest.fixture
def http(database_url: str) -> Iterator[httpx2.Client]:
    """The application over a database at the head."""
    with served(database_url) as client:
        yield client


@pytest.fixture
def day(http: httpx2.Client) -> Day:
    """A tenant of that application."""
    return Day([http])
