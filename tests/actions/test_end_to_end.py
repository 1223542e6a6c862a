"""Through the real relay, queue and worker: what follows from a change follows, and the sweep is sent."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from config.celery import run_relay_until
from config.settings import Settings, load_settings
from identity.model.lifecycle import State, Transition
from tests.actions.sources import count, rows, state
from tests.fixtures import Tenant
from tests.workers.plant import running, wait_until


def settings_of(tenant: Tenant) -> Settings:
    url = tenant.runtime.engine.url.render_as_string(hide_password=False)
    return load_settings(database_url=url)


@contextmanager
def relay(settings: Settings) -> Iterator[None]:
    stopped = threading.Event()
    thread = threading.Thread(target=run_relay_until, args=(settings, stopped.is_set))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@pytest.mark.promise(2)
def test_agents_of_a_person_who_left_are_suspended_when_workers_run_and_the_sweep_is_done(acme: Tenant) -> None:
    token = acme.task_token("invoice-bot", person="dana")
    rows(
        acme,
        "INSERT INTO idempotency_keys (tenant_id, caller, key_hash, request_hash, created_at)"
        " VALUES (current_setting('app.tenant')::uuid, 'a', 'k', 'k', now() - interval '2 days')",
    )
    acme.befall(acme.seeded.dana, Transition.DEPROVISION)
    rows(acme, "UPDATE outbox SET created_at = now(), available_at = now()")  # the relay's clock is the machine's
    settings = settings_of(acme)
    assert not acme.is_live(token)
    with relay(settings):
        wait_until(lambda: count(acme, "outbox WHERE sent_at IS NOT NULL") == 1)
        assert state(acme, acme.agent().id) is State.ACTIVE  # there is no worker yet
        environment = {
            "IDENTITY_DATABASE_URL": settings.database_url.get_secret_value(),
            "IDENTITY_WORKER_THREADS": "2",
            "IDENTITY_LOG_LEVEL": "warning",
        }
        with running([sys.executable, "-m", "cli", "worker"], environment):
            for agent in acme.seeded.agents.values():
                wait_until(lambda agent=agent: state(acme, agent.id) is State.SUSPENDED)
            wait_until(lambda: count(acme, "outbox WHERE done_at IS NULL") == 0)
            wait_until(lambda: count(acme, "idempotency_keys") == 0)
    assert [each.event.reason for each in acme.events(type="agent.suspended")] == ["no_active_owner"] * 4
