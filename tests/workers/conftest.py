"""One tenant with principals and rows of the outbox about them, on each broker."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from identity.model.ids import TenantId
from tests.workers.plant import Plant, TwoTenants, redis_at
from tests.workers.rabbitmq import shared_rabbitmq


@pytest.fixture
def two_tenants(owner_url: str, database_url: str) -> TwoTenants:
    """A database with one tenant."""
    made = TwoTenants(owner_url, database_url, TenantId(uuid4()))
    made.make_tenant("acme")
    return made


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own, for the whole run."""
    socket = tmp_path_factory.mktemp("redis") / "redis.sock"
    with redis_at(socket):
        yield f"redis+socket://{socket}"


@pytest.fixture(scope="session")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A virtual host of the run's RabbitMQ."""
    process = os.environ.get("PYTEST_XDIST_WORKER", "master")
    base = tmp_path_factory.getbasetemp()
    with shared_rabbitmq((base if process == "master" else base.parent) / "rabbitmq", process) as url:
        yield url


@pytest.fixture(params=["pgmq", "redis", "rabbitmq"])
def plant(request: pytest.FixtureRequest, two_tenants: TwoTenants) -> Plant:
    """The same test on the default broker, on Redis and on RabbitMQ."""
    environment = {
        "IDENTITY_DATABASE_URL": two_tenants.url,
        "IDENTITY_BROKER_VISIBILITY_TIMEOUT_S": "5",
        "IDENTITY_WORKER_THREADS": "2",
        "IDENTITY_LOG_LEVEL": "warning",
    }
    if request.param != "pgmq":
        environment["IDENTITY_BROKER_URL"] = request.getfixturevalue(f"{request.param}_url")
    return Plant(two_tenants, environment)
