"""One tenant with principals and news of them, on each broker."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from identity.model.ids import TenantId
from tests.workers.plant import Plant, World, redis_at


@pytest.fixture
def world(owner_url: str) -> World:
    """A database with one tenant."""
    made = World(owner_url, TenantId(uuid4()))
    with made.sql() as connection:
        connection.execute(
            "INSERT INTO tenants (tenant_id, slug, display_name, created_at) VALUES (%s, 'acme', 'Acme', now())",
            (made.tenant_id,),
        )
    return made


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of our own, for the whole run."""
    socket = tmp_path_factory.mktemp("redis") / "redis.sock"
    with redis_at(socket):
        yield f"redis+socket://{socket}"


@pytest.fixture(params=["pgmq", "redis"])
def plant(request: pytest.FixtureRequest, world: World) -> Plant:
    """The same test on the default broker and on Redis."""
    environment = {
        "IDENTITY_DATABASE_URL": world.owner_url,
        "IDENTITY_BROKER_VISIBILITY_TIMEOUT_S": "5",
        "IDENTITY_WORKER_THREADS": "2",
        "IDENTITY_LOG_LEVEL": "warning",
    }
    if request.param == "redis":
        environment["IDENTITY_BROKER_URL"] = request.getfixturevalue("redis_url")
    return Plant(world, environment)
