"""The application in this process, over a database of whatever schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx2
import pytest

from config.settings import load_settings
from identity.actions.sealing import Seal
from identity.http import utc_now
from tests.upgrade.flows import Day
from tests.world import make_house, serve

SEAL = Seal(bytes(32))


@contextmanager
def served(url: str) -> Iterator[httpx2.Client]:
    """Serve the application to a client, with the machine's clock."""
    house = replace(make_house(url, SEAL), clock=utc_now)
    with serve(house, load_settings(database_url=url)) as web:
        yield web.http
    house.engine.dispose()


@pytest.fixture
def http(database_url: str) -> Iterator[httpx2.Client]:
    """The application over a database at the head."""
    with served(database_url) as client:
        yield client


@pytest.fixture
def day(http: httpx2.Client) -> Day:
    """A tenant of that application."""
    return Day([http])
