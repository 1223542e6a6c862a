"""Celery, composed: the applications of the relay and of the workers, and the programs that run them."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import structlog
from celery import Celery
from celery.apps import worker as worker_program
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_process_init

from config import brokers
from config.database import engine_of
from config.isolation import refuse_unisolated, refuse_wrong_key
from config.settings import Settings
from config.started import log_start
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.store import OpenTransaction
from identity.store.notices import Notices, connection_string
from identity.store.session import Role
from identity.store.transaction import transaction
from server.failures import explain, is_broker_login_refused
from server.process import follow_parent
from server.telemetry import configure_logging
from workers.celery_options import options, worker_arguments
from workers.liveness import Heartbeat, end_relay_when_stuck, end_worker_when_stuck
from workers.relay import CHANNEL, Broker, Relay, run_relay
from workers.tasks import register_tasks

Pool = Literal["threads", "prefork"]

log = structlog.get_logger(__name__)


def make_celery(settings: Settings, role: Role) -> Celery:
    """Return the Celery of a process: ``identity_relay`` puts messages in, ``identity_app`` takes them out."""
    app = Celery("identity", set_as_current=False)
    app.heartbeat = Heartbeat()
    app.conf.update(options(settings.broker_visibility_timeout_s), **brokers.configuration(settings, role))
    return app


def make_worker(settings: Settings) -> Celery:
    """Return a Celery with every task; its database connections open in the process that runs them."""
    from scim.bulk.tasks import register_async_requests  # noqa: PLC0415 - a relay runs without the edges

    app = make_celery(settings, "identity_app")
    engine = engine_of(settings, pool_size=settings.worker_threads + 1)
    register_tasks(app, partial(transaction, engine), now)
    register_async_requests(app, partial(transaction, engine, holds_events=True), partial(_encryption, settings), now)
    return app


def _encryption(settings: Settings) -> EnvelopeEncryption:
    """Return the encryption of this installation, for each request anew: without a key, all other work is done."""
    return EnvelopeEncryption(settings.key_encryption_key_bytes)


def run_worker(settings: Settings, *, pool: Pool | None = None) -> None:
    """Run a worker in this process until SIGTERM or SIGINT.

    Threads on the queue in PostgreSQL: its transport blocks, and then the children of a prefork pool share
    one lock, which a child that is killed while idle takes with it. Elsewhere processes, which may be ended
    when they overrun their time. With threads the database's own time-outs bound each task.
    """
    refuse_unisolated(settings, listens=settings.broker_url is None)
    refuse_unisolated(settings, role="identity_relay")  # its watch reads the rows of every tenant that no worker takes
    if settings.key_encryption_key is not None:
        refuse_wrong_key(settings)  # asynchronous requests would be given up, undecrypted
    log_start(settings, "worker")
    # Celery warns of root because of pickle, which this application neither sends nor accepts.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker_process_init.connect(lambda **_: follow_parent(), weak=False)
    setup_logging.connect(
        lambda **_: configure_logging(settings.log_format, settings.log_level), weak=False
    )  # Celery then leaves the logs alone, in the children too
    app = make_worker(settings)
    refuse_broker_login(app, settings)
    end_worker_when_stuck(app.heartbeat, _as_relay(settings))
    worker_program.safe_say = lambda *_: None  # what it writes to standard output at a signal, past the log
    pool = pool or ("threads" if settings.broker_url is None else "prefork")
    app.worker_main(worker_arguments(pool, settings.worker_threads, settings.log_level))


def run_relay_until(settings: Settings, stopped: Callable[[], bool]) -> None:
    """Run the relay in this thread until ``stopped``. Raises as ``refuse_unisolated`` does, and the broker's own error
    when it refuses the login.
    """
    refuse_unisolated(settings, stopped, role="identity_relay", listens=True)
    if stopped():
        return
    log_start(settings, "relay", role="identity_relay")
    app = make_celery(settings, "identity_relay")
    refuse_broker_login(app, settings)
    notices = Notices(connection_string(settings.listen_url), CHANNEL)
    broker = Broker(app, brokers.transport_of(settings).messages_waiting)
    end_relay_when_stuck(app.heartbeat, stopped)
    run_relay(Relay(_as_relay(settings), broker, notices), app.heartbeat, stopped=stopped)
    app.close()


def refuse_broker_login(app: Celery, settings: Settings) -> None:
    """Raises the broker's own error when it refuses the login; for a broker that is away, programs wait."""
    try:
        brokers.check_broker(app, settings)
    except Exception as error:
        if is_broker_login_refused(error):
            raise
        log.warning("broker_does_not_answer", detail=explain(error))


def now() -> datetime:
    """The workers' clock."""
    return datetime.now(UTC)


def _as_relay(settings: Settings) -> OpenTransaction:
    return partial(transaction, engine_of(settings, role="identity_relay"))
