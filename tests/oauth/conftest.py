"""The world of two tenants, planted once in a run and copied for every test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest

from config.settings import load_settings
from identity.actions.sealing import Seal
from identity.http import House
from tests.conftest import TEMPLATE, Server
from tests.world import Planted, Tenant, Web, World, make_house, plant, serve

SEAL = Seal(bytes(32))


@dataclass(frozen=True, slots=True)
class Garden:
    """A database that is only ever copied, what is planted in it, and the application that serves the copies."""

    database: str
    planted: tuple[Planted, Planted]
    web: Web


@pytest.fixture(scope="session")
def garden(server: Server) -> Iterator[Garden]:
    """Two tenants, planted in a template of their own."""
    name = f"garden_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    url = server.url(name, role="identity_app")
    house = make_house(url, SEAL)
    planted = plant(house.engine, "acme", SEAL), plant(house.engine, "rival", SEAL)
    with serve(house, load_settings(database_url=url)) as web:
        house.engine.dispose()  # a template has no visitors while it is copied
        yield Garden(name, planted, web)


@pytest.fixture(scope="module")
def quiet_house(server: Server, garden: Garden) -> Iterator[House]:
    """A copy for the rows of a table that are refused one after the other: they change nothing but the trail."""
    with copied(server, garden) as house:
        yield house


@pytest.fixture
def quiet(garden: Garden, quiet_house: House) -> Tenant:
    """Acme, as every row before left it, which is as it was; its refusals are counted anew."""
    quiet_house.refusals.counts.kept.clear()
    return garden.web.world(quiet_house, garden.planted).acme


@pytest.fixture
def world(server: Server, garden: Garden) -> Iterator[World]:
    """Both tenants, served over HTTP."""
    with copied(server, garden) as house:
        yield garden.web.world(house, garden.planted)


@contextmanager
def copied(server: Server, garden: Garden) -> Iterator[House]:
    """A house on a copy of the garden."""
    name = f"test_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {garden.database}")
    house = make_house(server.url(name, role="identity_app"), SEAL)
    yield house
    house.engine.dispose()
    server.drop(name)


@pytest.fixture
def acme(world: World) -> Tenant:
    return world.acme


@pytest.fixture
def rival(world: World) -> Tenant:
    return world.rival
