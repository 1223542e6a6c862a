"""What must hold on every broker: nothing is lost, every effect happens once, and the broker may be away."""

import os
import signal
from datetime import timedelta

import pytest

from tests.workers.conftest import Plant, kill, wait_until

pytestmark = pytest.mark.promise(6)


def test_news_is_worked_on_as_soon_as_it_is_committed(plant: Plant) -> None:
    who = plant.world.principals(1)
    with plant.worker(), plant.relay():
        plant.world.news(who)
        wait_until(lambda: plant.world.count("done_at IS NOT NULL") == 1)
        plant.world.news(who)
        took = wait_until(lambda: plant.world.count("done_at IS NOT NULL") == 2)
    assert took < 1.0


def test_a_worker_killed_in_the_middle_of_its_work_loses_nothing(plant: Plant) -> None:
    rows = plant.world.news(plant.world.principals(4))
    with plant.relay():
        with plant.worker(wait_s=60) as worker:
            wait_until(lambda: plant.world.count("attempts = 1") == 2)
            kill(worker)
        with plant.worker():
            wait_until(lambda: plant.world.count("done_at IS NOT NULL") == 4)
    assert sorted(plant.world.effects()) == sorted(f"outbox:{row}" for row in rows)
    assert plant.world.count("attempts = 2") == 2


def test_a_burst_of_300_is_worked_on_once_each_by_two_workers(plant: Plant) -> None:
    rows = plant.world.news(plant.world.principals(300))
    with plant.worker(), plant.worker(), plant.relay():
        wait_until(lambda: plant.world.count("done_at IS NOT NULL") == 300)
    assert sorted(plant.world.effects()) == sorted(f"outbox:{row}" for row in rows)


def test_a_worker_told_to_stop_finishes_what_it_began(plant: Plant) -> None:
    plant.world.news(plant.world.principals(1))
    with plant.relay(), plant.worker(wait_s=1) as worker:
        wait_until(lambda: plant.world.count("attempts = 1") == 1)
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(10) == 0
    assert plant.world.count("done_at IS NOT NULL") == 1
