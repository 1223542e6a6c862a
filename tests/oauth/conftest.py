"""The world of two tenants, planted once in a run and copied for every test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from config.settings import load_settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.edge.runtime import Runtime
from tests.conftest import Server
from tests.fixtures import Seeded, Tenant, TwoTenants, Web, make_runtime, plant, serve

SEAL = EnvelopeEncryption(bytes(32))


@dataclass(frozen=True, slots=True)
class TemplateDatabase:
    """A database that is only ever copied, what is planted in it, and the application that serves the copies."""

    database: str
    seeded: tuple[Seeded, Seeded]
    web: Web


@pytest.fixture(scope="session")
def template_db(server: Server) -> Iterator[TemplateDatabase]:
    """Two tenants, planted in a template of their own."""
    name = server.copy(prefix="planted")
    url = server.url(name, role="identity_app")
    runtime = make_runtime(url, SEAL)
    seeded = plant(runtime.engine, "acme", SEAL), plant(runtime.engine, "rival", SEAL)
    with serve(runtime, load_settings(database_url=url)) as web:
        runtime.engine.dispose()  # a template has no visitors while it is copied
        yield TemplateDatabase(name, seeded, web)


@pytest.fixture(scope="module")
def read_only_runtime(server: Server, template_db: TemplateDatabase) -> Iterator[Runtime]:
    """A copy for the rows of a table that are refused one after the other: they change nothing but the trail."""
    with copied(server, template_db) as runtime:
        yield runtime


@pytest.fixture
def read_only(template_db: TemplateDatabase, read_only_runtime: Runtime) -> Tenant:
    """Acme, as every row before left it, which is as it was; its refusals are counted anew."""
    read_only_runtime.refusals.kept.clear()
    return template_db.web.two_tenants(read_only_runtime, template_db.seeded).acme


@pytest.fixture
def two_tenants(server: Server, template_db: TemplateDatabase) -> Iterator[TwoTenants]:
    """Both tenants, served over HTTP."""
    with copied(server, template_db) as runtime:
        yield template_db.web.two_tenants(runtime, template_db.seeded)


@contextmanager
def copied(server: Server, template_db: TemplateDatabase) -> Iterator[Runtime]:
    """A runtime on a copy of the template."""
    name = server.copy(template_db.database)
    runtime = make_runtime(server.url(name, role="identity_app"), SEAL)
    yield runtime
    runtime.engine.dispose()
    server.drop(name)


@pytest.fixture
def acme(two_tenants: TwoTenants) -> Tenant:
    return two_tenants.acme


@pytest.fixture
def rival(two_tenants: TwoTenants) -> Tenant:
    return two_tenants.rival
