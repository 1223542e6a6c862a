"""The checks of `identity doctor` beside the database: web, workers, relay, broker and outbox.

A worker or relay runs where a database connection bears its name. The check of the web server requests ``/readyz``;
where the settings of this process name another address, a connection of its name is enough.
"""

import time
from datetime import timedelta

import httpx2

from cli.finding import Finding, ill, well
from config.brokers import check_broker
from config.celery import make_celery
from config.database import broker_address, engine_for_once
from config.settings import Settings
from identity.model.ids import PLATFORM
from identity.store.outbox import Backlog, outbox_backlog, outbox_is_untaken
from identity.store.programs import programs_connected
from identity.store.transaction import transaction, untenanted
from server.failures import explain

OLDEST_S_MAX = 60
UNTAKEN_S_MAX = 10
ANSWER_S_MAX = 5.0
LOOKED_FOR_S = 10.0
"""The longest time that a running program has no connection: an idle worker connects again after eight seconds."""

LOOK_S = 0.5
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask a server that listens at all addresses


def broker_answers(settings: Settings) -> list[Finding]:
    """The broker accepts this login."""
    app = make_celery(settings, "identity_relay")
    try:
        check_broker(app, settings)
    except Exception as error:  # each broker's library has errors of its own
        return [ill("broker", explain(error))]
    finally:
        app.close()
    return [well("broker", broker_address(settings))]


def programs_are_there(settings: Settings) -> list[Finding]:
    """Web, worker and relay run."""
    connected = _connected_programs(settings)
    others = [_connected(name, connected) for name in ("worker", "relay")]
    return [_web(settings, connected.get("serve", 0)), *others]


def _connected_programs(settings: Settings) -> dict[str, int]:
    """Return what is connected; a program that lost its connection a moment ago may take a while to come back."""
    ends_at = time.monotonic() + LOOKED_FOR_S
    with engine_for_once(settings) as engine:
        while True:
            with untenanted(engine) as connection:
                connected = programs_connected(connection)
            if {"worker", "relay"} <= connected.keys() or time.monotonic() >= ends_at:
                return connected
            time.sleep(LOOK_S)


def _connected(name: str, connected: dict[str, int]) -> Finding:
    if connected.get(name):
        return well(name)
    return ill(name, f"no {name} is connected to the database: start `identity {name}`")


def _web(settings: Settings, connections: int) -> Finding:
    host = EVERYWHERE.get(settings.host, settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/readyz"
    try:
        answer = httpx2.get(url, timeout=ANSWER_S_MAX, trust_env=False)
    except httpx2.RequestError as error:
        if connections:
            return well("web", f"not asked: {url} does not answer from here, but `identity serve` is connected")
        fault = f"{url} does not answer ({type(error).__name__})"
        return ill("web", f"{fault}: start `identity serve`, or correct IDENTITY_HOST and IDENTITY_PORT")
    return _of_answer(url, answer)


def _of_answer(url: str, answer: httpx2.Response) -> Finding:
    if answer.status_code == 200:
        return well("web", url)
    try:
        said = answer.json()
        reason, detail = said["reason"], said.get("detail")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ill("web", f"{url} answers {answer.status_code}, as `identity serve` never does: correct IDENTITY_PORT")
    fault = f"{url} says that it is not ready: {reason}" + (f", {detail}" if detail else "")
    return ill("web", f"{fault}. If nothing else is wrong here, give `identity serve` the settings of this command")


def outbox_is_worked_off(settings: Settings) -> list[Finding]:
    """The outbox: workers take its rows, none is older than a minute, and none is a dead letter."""
    with engine_for_once(settings, role="identity_relay") as engine, transaction(engine, PLATFORM) as tx:
        backlog, untaken = outbox_backlog(tx), outbox_is_untaken(tx, age=timedelta(seconds=UNTAKEN_S_MAX))
    return [_taken(untaken), _short(backlog), _alive(backlog)]


def _taken(untaken: bool) -> Finding:
    if not untaken:
        return well("queue")
    fault = f"the broker has had rows for {UNTAKEN_S_MAX} s that no worker has begun"
    return ill("queue", f"{fault}: start `identity worker` again, or more of them")


def _short(backlog: Backlog) -> Finding:
    if backlog.oldest_s <= OLDEST_S_MAX:
        return well("outbox")
    fault = f"{backlog.waiting} rows wait, the oldest for {backlog.oldest_s:.0f} s"
    return ill("outbox", f"{fault}: start `identity relay`, and more `identity worker`")


def _alive(backlog: Backlog) -> Finding:
    if not backlog.dead:
        return well("dead letters")
    ask = "GET /admin/v1/tenants/{tenant}/outbox?state=dead"
    return ill("dead letters", f"{backlog.dead} rows were given up: {ask} names them; replay or discard each")
