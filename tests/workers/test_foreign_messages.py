"""No message stops a worker: what is malformed or foreign is set aside after a bounded number of deliveries, and
messages that come behind it are worked on.
"""

import json
from functools import partial

import psycopg
import pytest

from tests.workers.foreign import (
    FILL,
    KEPT,
    PUT,
    enveloped,
    kept_by_pgmq,
    kept_by_rabbitmq,
    kept_by_redis,
    message,
    nested,
    put_one_in_rabbitmq,
    put_one_in_redis,
    redis_client,
)
from tests.workers.plant import Plant, kill, wait_until
from workers.messages import DELIVERIES_MAX, SET_ASIDE_MAX

pytestmark = pytest.mark.promise(6)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    name: str = request.node.callspec.params["plant"]
    return name


def _is_under_way(plant: Plant, deliveries: int) -> bool:
    """Say whether Redis keeps a message for a worker that got it as often as that."""
    with redis_client(plant) as client:
        kept = client.hvals("unacked")
    return any(json.loads(entry)[0]["properties"]["deliveries"] == deliveries for entry in kept)  # type: ignore[union-attr]


def test_foreign_messages_are_set_aside_and_the_worker_works_on(plant: Plant, broker: str) -> None:
    with plant.worker() as worker, plant.relay():
        plant.two_tenants.news(plant.two_tenants.principals(1))
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 1)
        kept_before = KEPT[broker](plant)
        put = PUT[broker](plant)
        plant.two_tenants.news(plant.two_tenants.principals(3))
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 4)
        wait_until(lambda: KEPT[broker](plant) - kept_before == put)
        assert worker.poll() is None


@pytest.mark.parametrize("plant", ["pgmq"], indirect=True)
def test_a_message_that_kills_its_worker_is_set_aside_after_five_deliveries_by_pgmq(plant: Plant) -> None:
    """A dead worker says nothing: PostgreSQL has counted how often the message was read."""
    with plant.two_tenants.sql() as connection:
        connection.execute(
            "INSERT INTO pgmq.q_celery (vt, message, read_ct) VALUES (now(), %s, %s)",
            (enveloped(message()), DELIVERIES_MAX),
        )
    with plant.worker():
        wait_until(lambda: kept_by_pgmq(plant) == 1)


@pytest.mark.parametrize("plant", ["redis"], indirect=True)
def test_a_message_that_kills_its_worker_is_counted_and_set_aside_after_five_deliveries_by_redis(plant: Plant) -> None:
    kept_before = kept_by_redis(plant)
    plant.two_tenants.news(plant.two_tenants.principals(1))
    with plant.relay():
        for deliveries in (1, 2):
            with plant.worker(wait_s=60) as worker:
                wait_until(partial(_is_under_way, plant, deliveries))
                kill(worker)
    put_one_in_redis(plant, message(), deliveries=DELIVERIES_MAX)
    with plant.worker():
        wait_until(lambda: kept_by_redis(plant) == kept_before + 1)


@pytest.mark.parametrize("plant", ["rabbitmq"], indirect=True)
def test_a_message_that_kills_its_worker_is_set_aside_after_five_deliveries_by_rabbitmq(plant: Plant) -> None:
    kept_before = kept_by_rabbitmq(plant)
    [row] = plant.two_tenants.news(plant.two_tenants.principals(1))
    put_one_in_rabbitmq(plant, message([[str(plant.two_tenants.tenant_id), str(row)], {}, {}]))
    for delivery in range(1, DELIVERIES_MAX + 1):
        with plant.worker(wait_s=60) as worker:
            wait_until(partial(lambda number: plant.two_tenants.count(f"attempts = {number}") == 1, delivery))
            kill(worker)
    wait_until(lambda: kept_by_rabbitmq(plant) == kept_before + 1)


@pytest.mark.parametrize("plant", ["rabbitmq"], indirect=True)
def test_a_message_that_the_library_cannot_read_is_set_aside_and_the_worker_works_on(plant: Plant) -> None:
    """Headers nested so deeply that reading them breaks the connection, each time that the message is delivered."""
    kept_before = kept_by_rabbitmq(plant)
    with plant.worker() as worker, plant.relay():
        plant.two_tenants.news(plant.two_tenants.principals(1))
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 1)
        put_one_in_rabbitmq(plant, message(nested=nested(3_000)))
        wait_until(lambda: kept_by_rabbitmq(plant) == kept_before + 1, 60)
        plant.two_tenants.news(plant.two_tenants.principals(1))
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 2)
        assert worker.poll() is None


@pytest.mark.parametrize("plant", ["pgmq"], indirect=True)
def test_a_relay_chooses_neither_the_number_of_a_message_nor_its_deliveries(plant: Plant) -> None:
    url = plant.two_tenants.url.replace("+psycopg", "")
    with psycopg.connect(url, options="-c role=identity_relay", autocommit=True) as connection:
        for column in ("read_ct", "msg_id", "enqueued_at"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"INSERT INTO pgmq.q_celery (vt, {column}) VALUES (now(), DEFAULT)".encode())


@pytest.mark.parametrize("plant", ["pgmq", "redis"], indirect=True)  # RabbitMQ is told by its queue's arguments
def test_only_the_newest_messages_are_kept(plant: Plant, broker: str) -> None:
    FILL[broker](plant)
    with plant.worker():
        PUT[broker](plant)
        wait_until(lambda: KEPT[broker](plant) == SET_ASIDE_MAX)
