"""Celery: a broker that is only a hint, tasks that lose nothing when they are lost."""

import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal
from uuid import UUID

import structlog
from celery import Celery
from celery.apps import worker as worker_program
from celery.exceptions import SecurityWarning, SoftTimeLimitExceeded
from celery.signals import setup_logging, worker_process_init
from celery.worker.state import active_requests

from config import brokers
from config.database import engine_of
from config.isolation import refuse_unisolated
from config.sealed import refuse_wrong_key
from config.settings import Settings
from config.started import log_start
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.async_request import OUTBOX_KIND
from identity.model.errors import Unavailable
from identity.model.ids import PLATFORM, TenantId
from identity.model.outbox import Progress
from identity.store import Tx
from identity.store.notices import Notices, connection_string
from identity.store.outbox import outbox_is_untaken
from identity.store.session import Role
from identity.store.transaction import transaction
from server.failures import is_broker_login_refused, told
from server.process import follow_parent
from server.telemetry import configure_logging
from workers.cascade import ObserveQuiet, Reconcile, Tools, Work, nothing_is_quiet, register_tasks
from workers.relay import CHANNEL, Relay, run_relay
from workers.sending import CeleryBroker
from workers.sweep import register_sweep
from workers.watch import Pulse, leave_at_once, watch

HARD_LIMIT, SOFT_LIMIT = 0.8, 0.6
"""Of the visibility timeout: when a task is killed, and when it is told to stop."""

TURN_S = 1.0
"""When long work stops by itself and waits for its next turn: well before the soft limit of the shortest visibility
timeout (3 s of 5 s), and so soon that news of who has left never waits long behind somebody's Bulk."""

Pool = Literal["threads", "prefork"]

DEAF_S = 8.0
"""How long an idle worker may leave what the broker has for it."""

STUCK_S = 60.0
"""How long a relay may take for one round, or a worker that has something in hand for all of it."""

WATCHED_EVERY_S = 1.0

Perform = Callable[..., Progress]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Duties:
    """What a worker does. ``perform`` is ``scim.async_work.perform``: workers do not know the edges, so whoever starts
    one hands it in.
    """

    reconcile: Reconcile
    observe_quiet: ObserveQuiet = nothing_is_quiet
    perform: Perform | None = None


ALWAYS = {
    "accept_content": ["json"],  # pickle would let whoever reaches the broker run code here
    "task_serializer": "json",
    "result_serializer": "json",
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_enable_remote_control": False,  # nobody steers a worker through the broker
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_soft_shutdown_timeout": 10.0,
    "worker_max_tasks_per_child": 10_000,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_enable_prefetch_count_reduction": False,  # tasks that have lost their connection would keep others out
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "worker_consumer": "workers.consumer:LastingConsumer",
    "broker_connection_timeout": 3.0,
    "task_default_queue": "celery",
    "task_publish_retry": False,  # the relay tries again by itself, and sees that the broker is away
    "enable_utc": True,
}


def make_celery(settings: Settings, role: Role) -> Celery:
    """Return the Celery of a process: ``identity_relay`` puts messages in, ``identity_app`` takes them out."""
    app = Celery("identity", set_as_current=False)
    app.pulse = Pulse()
    visible_s = settings.broker_visibility_timeout_s
    app.conf.update(
        ALWAYS,
        # Shorter than the visibility timeout: what still runs then would be given to a second worker.
        task_time_limit=visible_s * HARD_LIMIT,
        task_soft_time_limit=visible_s * SOFT_LIMIT,
        **brokers.configuration(settings, role),
    )
    return app


def make_worker(settings: Settings, duties: Duties) -> Celery:
    """Return a Celery that knows every task; its database connections open in the process that runs them."""
    app = make_celery(settings, "identity_app")
    begin = _begin(settings, "identity_app", settings.worker_threads + 1)
    works = {} if duties.perform is None else {OUTBOX_KIND: _work(settings, begin, duties.perform)}
    register_tasks(app, Tools(begin, duties.reconcile, now, works, duties.observe_quiet))
    register_sweep(app, begin, now)
    return app


def _work(settings: Settings, begin: Callable[..., AbstractContextManager[Tx]], perform: Perform) -> Work:
    """Return how this installation does asynchronous requests: with its database, its seal and its clock."""

    def work(tenant_id: TenantId, outbox_id: UUID) -> Progress:
        ends_at = time.monotonic() + TURN_S
        return perform(
            partial(begin, tenant_id, holds_events=True),
            outbox_id,
            encryption=EnvelopeEncryption(
                settings.key_encryption_key_bytes
            ),  # only now: a worker without the key does all the rest
            clock=now,
            until=lambda: time.monotonic() >= ends_at,
            interrupts=(SoftTimeLimitExceeded,),
        )

    return work


def run_worker(settings: Settings, duties: Duties, *, pool: Pool | None = None) -> None:
    """Run a worker in this process until it is told to stop (SIGTERM, SIGINT).

    Threads on the queue in PostgreSQL: its transport blocks, and then the children of a prefork pool share
    one lock, which a child that is killed while idle takes with it. Elsewhere processes, which may be ended
    when they overrun their time. With threads the database's own time-outs bound each task.
    """
    refuse_unisolated(settings, listens=settings.broker_url is None)
    refuse_unisolated(settings, role="identity_relay")  # its watch asks for rows of every tenant that nobody takes
    if settings.key_encryption_key is not None:
        refuse_wrong_key(settings)  # what was accepted to be done later would be given up, unopened
    log_start(settings, "worker")
    pool = pool or ("threads" if settings.broker_url is None else "prefork")
    # Celery warns of root because of pickle, which this application neither sends nor accepts.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker_process_init.connect(lambda **_: follow_parent(), weak=False)
    setup_logging.connect(
        lambda **_: configure_logging(settings.log_format, settings.log_level), weak=False
    )  # Celery then leaves the logs alone, in the children too
    app = make_worker(settings, duties)
    refuse_broker_login(app, settings)
    _watch_worker(settings, app)
    worker_program.safe_say = lambda *_: None  # what it writes to standard output at a signal, past the log
    app.worker_main(
        [
            "--quiet", "worker", f"--pool={pool}", f"--concurrency={settings.worker_threads}",
            "--without-gossip", "--without-mingle", "--without-heartbeat", f"--loglevel={settings.log_level}",
        ]
    )  # fmt: skip


def _watch_worker(settings: Settings, app: Celery) -> None:
    """Let the worker end when the broker has rows for it and it has taken nothing for a while."""
    begin = _begin(settings, "identity_relay", 1)
    with suppress(Unavailable), begin(PLATFORM):
        pass  # from now on the database shows that a worker is there, whichever broker it takes from

    def is_deaf() -> bool:
        idle_s = app.pulse.age_s()
        if idle_s < (STUCK_S if active_requests else DEAF_S):
            return False
        with begin(PLATFORM) as tx:
            return outbox_is_untaken(tx, age=timedelta(seconds=DEAF_S))

    watch(is_deaf, every_s=WATCHED_EVERY_S, leave=leave_at_once)


def run_relay_until(settings: Settings, stopped: Callable[[], bool], leave: Callable[[], None] = leave_at_once) -> None:
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
    broker = CeleryBroker(app, brokers.transport_of(settings).messages_waiting)
    relay = Relay(_begin(settings, "identity_relay", 1), broker, notices)
    pulse: Pulse = app.pulse
    watch(lambda: not stopped() and pulse.age_s() > STUCK_S, every_s=WATCHED_EVERY_S, leave=leave)
    run_relay(relay, stopped=stopped, lives=pulse.beat)
    relay.broker.reset()
    app.close()


def refuse_broker_login(app: Celery, settings: Settings) -> None:
    """Raises the broker's own error when it refuses the login; for a broker that is away, programs wait."""
    try:
        brokers.check_broker(app, settings)
    except Exception as error:
        if is_broker_login_refused(error):
            raise
        log.warning("broker_does_not_answer", detail=told(error))


def now() -> datetime:
    """The workers' clock."""
    return datetime.now(UTC)


def _begin(settings: Settings, role: Role, pool_size: int) -> Callable[[TenantId], AbstractContextManager[Tx]]:
    return partial(transaction, engine_of(settings, role=role, pool_size=pool_size))
