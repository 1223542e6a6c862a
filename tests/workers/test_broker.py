"""What must hold on every broker: nothing is lost, every effect happens once, and the broker may be away."""

import os
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.celery import make_celery, make_worker
from identity.model.async_request import OUTBOX_KIND
from tests.workers.plant import Plant, TwoTenants, children, kill, redis_at, wait_until
from workers.messages import ARGUMENTS, RUN_OUTBOX_ROWS, SWEEP

pytestmark = pytest.mark.promise(6)


def test_news_is_worked_on_as_soon_as_it_is_committed(plant: Plant) -> None:
    who = plant.two_tenants.principals(1)
    with plant.worker(), plant.relay():
        plant.two_tenants.news(who)
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 1)
        plant.two_tenants.news(who)
        took = wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 2)
    assert took < 1.0


def test_a_worker_killed_in_the_middle_of_its_work_loses_nothing(plant: Plant) -> None:
    rows = plant.two_tenants.news(plant.two_tenants.principals(4))
    with plant.relay():
        with plant.worker(wait_s=60) as worker:
            wait_until(lambda: plant.two_tenants.count("attempts = 1") == 4)
            kill(worker)
        with plant.worker():
            wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 4)
    assert sorted(plant.two_tenants.effects()) == sorted(f"outbox:{row}" for row in rows)
    assert plant.two_tenants.count("attempts = 2") == 4


def test_a_burst_of_300_is_worked_on_once_each_by_two_workers(plant: Plant) -> None:
    rows = plant.two_tenants.news(plant.two_tenants.principals(300))
    with plant.worker(), plant.worker(), plant.relay():
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 300)
    assert sorted(plant.two_tenants.effects()) == sorted(f"outbox:{row}" for row in rows)


def test_a_worker_told_to_stop_finishes_what_it_began(plant: Plant) -> None:
    plant.two_tenants.news(plant.two_tenants.principals(1))
    with plant.relay(), plant.worker(wait_s=1) as worker:
        wait_until(lambda: plant.two_tenants.count("attempts = 1") == 1)
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(10) == 0
    assert plant.two_tenants.count("done_at IS NOT NULL") == 1


@pytest.mark.parametrize("plant", ["redis"], indirect=True)
def test_the_killed_children_of_a_prefork_worker_lose_nothing(plant: Plant) -> None:
    rows = plant.two_tenants.news(plant.two_tenants.principals(1))
    with plant.relay(), plant.worker(pool="prefork", wait_s=1) as worker:
        wait_until(lambda: plant.two_tenants.count("attempts = 1") == 1)
        for child in children(worker):
            os.kill(child, signal.SIGKILL)
        wait_until(lambda: plant.two_tenants.count("done_at IS NOT NULL") == 1)
    assert plant.two_tenants.effects() == [f"outbox:{row}" for row in rows]


def test_a_broker_that_is_away_delays_and_loses_nothing(two_tenants: TwoTenants, tmp_path: Path) -> None:
    plant = Plant(two_tenants, {"IDENTITY_DATABASE_URL": two_tenants.url, "IDENTITY_LOG_LEVEL": "error"})
    plant.environment["IDENTITY_BROKER_URL"] = f"redis+socket://{tmp_path}/redis.sock"
    rows = two_tenants.news(two_tenants.principals(3))
    with capture_logs() as logs, plant.relay():
        wait_until(lambda: any(line["event"] == "relay_failed" for line in logs))
        wait_until(lambda: two_tenants.count("sent_at IS NULL") == 3)
        with redis_at(tmp_path / "redis.sock"), plant.worker():
            wait_until(lambda: two_tenants.count("done_at IS NOT NULL") == 3)
    assert sorted(two_tenants.effects()) == sorted(f"outbox:{row}" for row in rows)


def test_a_worker_accepts_nothing_but_json(plant: Plant) -> None:
    app = make_celery(plant.settings(), "identity_app")
    assert list(app.conf.accept_content) == ["json"]
    assert (app.conf.task_serializer, app.conf.result_backend) == ("json", None)


@pytest.mark.parametrize("plant", ["pgmq", "redis"], indirect=True)  # RabbitMQ gives it away when the worker is gone
def test_a_task_may_not_outlive_its_message_s_invisibility(plant: Plant) -> None:
    conf = make_celery(plant.settings(), "identity_app").conf
    visible_s = conf.broker_transport_options["visibility_timeout"]
    assert conf.task_soft_time_limit < conf.task_time_limit < visible_s


def test_a_worker_has_a_task_for_every_message_and_for_every_kind_of_row(two_tenants: TwoTenants) -> None:
    settings = Plant(two_tenants, {"IDENTITY_DATABASE_URL": two_tenants.url}).settings()
    assert {RUN_OUTBOX_ROWS, SWEEP, OUTBOX_KIND} <= make_worker(settings).tasks.keys()
    assert ARGUMENTS.keys() == {RUN_OUTBOX_ROWS, SWEEP}, "and no message names a kind"
