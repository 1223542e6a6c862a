"""Nothing that breaks between the relay and the workers makes them stop for good: faults in the middle of tasks."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest

from tests.workers.foreign import rabbitmq_channel, redis_client
from tests.workers.plant import Plant, TwoTenants, redis_at, running, wait_until

pytestmark = pytest.mark.promise(6)

BACK_S = 10.0
"""Within which everything has converged when the broker is back; a busy machine is given three times that."""


def lose_connections(plant: Plant) -> None:
    """End every connection that the queue in PostgreSQL is reached by, and all others."""
    with psycopg.connect(plant.two_tenants.owner_url.replace("+psycopg", "")) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def empty_pgmq(plant: Plant) -> None:
    with plant.two_tenants.sql() as connection:
        connection.execute("DELETE FROM pgmq.q_celery")


def flush_redis(plant: Plant) -> None:
    with redis_client(plant) as client:
        client.flushall()


def drop_redis_connections(plant: Plant) -> None:
    with redis_client(plant) as client:
        client.client_kill_filter(skipme=True)


def purge_rabbitmq(plant: Plant) -> None:
    with rabbitmq_channel(plant) as channel:
        channel.queue_purge("identity")


def delete_rabbitmq_queue(plant: Plant) -> None:
    """The broker tells the consumer that there is no queue any more; the one that is made anew is another."""
    with rabbitmq_channel(plant) as channel:
        channel.queue_delete("identity")


FAULTS: list[tuple[str, Callable[[Plant], None]]] = [
    ("pgmq", lose_connections),
    ("pgmq", empty_pgmq),
    ("redis", flush_redis),
    ("redis", drop_redis_connections),
    ("rabbitmq", purge_rabbitmq),
    ("rabbitmq", delete_rabbitmq_queue),
]


@contextmanager
def supervised(plant: Plant, pool: str) -> Iterator[None]:
    """Run a worker that is started anew whenever it ends, as a supervisor does."""
    stopping = Event()

    def supervise() -> None:
        while not stopping.is_set():
            with plant.worker(pool=pool, wait_s=0.02) as worker:
                while worker.poll() is None and not stopping.wait(0.05):
                    pass

    thread = Thread(target=supervise)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@pytest.mark.parametrize(
    ("plant", "fault"), FAULTS, indirect=["plant"], ids=[f"{broker}: {fault.__name__}" for broker, fault in FAULTS]
)
def test_what_breaks_in_the_middle_of_tasks_stops_nobody(plant: Plant, fault: Callable[[Plant], None]) -> None:
    rows = plant.two_tenants.news(plant.two_tenants.principals(120))
    pool = "threads" if "IDENTITY_BROKER_URL" not in plant.environment else "prefork"
    with supervised(plant, pool), plant.relay():
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") >= 10)
        fault(plant)
        more = plant.two_tenants.news(plant.two_tenants.principals(3))
        wait_until(lambda: plant.two_tenants.count("done_at IS NULL") == 0, 3 * BACK_S)
    assert sorted(plant.two_tenants.effects()) == sorted(f"outbox:{row}" for row in [*rows, *more])


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_redis_that_dies_in_the_middle_of_tasks_leaves_no_worker_deaf(
    two_tenants: TwoTenants, tmp_path: Path, pool: str
) -> None:
    socket = tmp_path / "redis.sock"
    plant = Plant(two_tenants, {"IDENTITY_DATABASE_URL": two_tenants.url, "IDENTITY_LOG_LEVEL": "warning"})
    plant.environment["IDENTITY_BROKER_URL"] = f"redis+socket://{socket}"
    rows = two_tenants.news(two_tenants.principals(120))
    with plant.relay(), plant.worker(pool=pool, wait_s=0.05) as worker:
        for done in (10, 40, 120):
            socket.unlink(missing_ok=True)  # the one before was killed, and what it held is lost
            with redis_at(socket):
                wait_until(partial(_is_done, two_tenants, done), 3 * BACK_S)
        assert worker.poll() is None
    assert sorted(two_tenants.effects()) == sorted(f"outbox:{row}" for row in rows)


def _is_done(two_tenants: TwoTenants, count: int) -> bool:
    return two_tenants.count("done_at IS NOT NULL") >= count


@pytest.mark.parametrize(
    ("plant", "how"), [("pgmq", "deaf"), ("pgmq", "hangs"), ("redis", "deaf"), ("rabbitmq", "deaf")], indirect=["plant"]
)
def test_a_worker_that_takes_nothing_ends_to_be_started_anew(plant: Plant, how: str) -> None:
    plant.two_tenants.news(plant.two_tenants.principals(1))
    with running([sys.executable, "-m", "tests.workers.deaf_worker", how], plant.environment) as deaf, plant.relay():
        assert deaf.wait(60) == 1
    with plant.relay(), plant.worker():
        wait_until(lambda: plant.two_tenants.count("done_at IS NULL") == 0)


def test_a_worker_that_has_nothing_to_take_lives_on(two_tenants: TwoTenants) -> None:
    plant = Plant(two_tenants, {"IDENTITY_DATABASE_URL": two_tenants.url, "IDENTITY_BROKER_VISIBILITY_TIMEOUT_S": "5"})
    with plant.worker() as first, plant.worker() as second, plant.relay():
        for _ in range(6):
            two_tenants.news(two_tenants.principals(1))
            wait_until(lambda: two_tenants.count("done_at IS NULL") == 0)
            with pytest.raises(subprocess.TimeoutExpired):
                first.wait(2)
        assert (first.poll(), second.poll()) == (None, None)


def test_a_worker_whose_broker_is_away_lives_on_and_is_there_when_it_comes_back(
    two_tenants: TwoTenants, tmp_path: Path
) -> None:
    socket = tmp_path / "redis.sock"
    plant = Plant(two_tenants, {"IDENTITY_DATABASE_URL": two_tenants.url, "IDENTITY_LOG_LEVEL": "warning"})
    plant.environment["IDENTITY_BROKER_URL"] = f"redis+socket://{socket}"
    two_tenants.news(two_tenants.principals(120))
    with plant.relay(), plant.worker(wait_s=0.05) as worker:
        with redis_at(socket):
            wait_until(partial(_is_done, two_tenants, 10))
        socket.unlink()
        wait_until(lambda: two_tenants.count("done_at IS NULL AND sent_at < now() - interval '12 s'") > 0)
        assert worker.poll() is None
        with redis_at(socket):
            wait_until(lambda: two_tenants.count("done_at IS NULL") == 0, 3 * BACK_S)
        assert worker.poll() is None
