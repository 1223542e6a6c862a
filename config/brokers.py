"""The three brokers (a queue in the same PostgreSQL, Redis, RabbitMQ): their options, and whether one answers."""

from types import ModuleType
from typing import Any
from urllib.parse import quote

from celery import Celery
from sqlalchemy.engine import make_url

from config.settings import Settings
from identity.store.notices import connection_string
from identity.store.session import Role
from workers import broker

Options = dict[str, Any]


def transport_of(settings: Settings) -> ModuleType:
    """Return the module of the broker that is set."""
    if settings.broker_url is None:
        return broker
    if _is_redis(settings):
        from workers import redis_broker  # noqa: PLC0415 - its library comes with the extra 'redis'

        return redis_broker
    from workers import rabbitmq_broker  # noqa: PLC0415 - its library need not be installed

    return rabbitmq_broker


def configuration(settings: Settings, role: Role) -> Options:
    """Return Celery's options for the broker that is set, and register its transport."""
    transport_of(settings).register_transport()
    if settings.broker_url is None:
        return _in_postgresql(settings, role)
    url = settings.broker_url.get_secret_value()
    return _redis(settings, url) if _is_redis(settings) else _rabbitmq(settings, url)


def check_broker(app: Celery, settings: Settings) -> None:
    """Connect to the broker, and count its messages. Raises the broker's own errors."""
    connection = app.connection_for_write()
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        transport_of(settings).messages_waiting(connection)
    finally:
        connection.release()


def _is_redis(settings: Settings) -> bool:
    return settings.broker_url is not None and settings.broker_url.get_secret_value().startswith("redis")


def _in_postgresql(settings: Settings, role: Role) -> Options:
    url = make_url(settings.database_url.get_secret_value())
    options = {
        "conn_string": connection_string(settings.database_url.get_secret_value()),
        "listen_string": connection_string(settings.listen_url),
        "role": role,
        "is_prepared": settings.database_prepared,
        "visibility_timeout": settings.broker_visibility_timeout_s,
        "wait_time_seconds": 0,
    }
    host = url.query.get("host") or url.host or "localhost"
    # Only shown: the transport goes by conn_string, which has every option of the database's URL.
    shown = f"pgmq://{quote(str(host), safe='')}:{url.port or 5432}/{quote(url.database or '', safe='')}"
    return {"broker_url": shown, "broker_transport_options": options}


def _redis(settings: Settings, url: str) -> Options:
    options = {
        "visibility_timeout": settings.broker_visibility_timeout_s,
        "unacked_restore_throttle": 1,  # else looked for every 100 s, whatever the visibility timeout
        "socket_timeout": 5.0,
        "socket_connect_timeout": 3.0,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    return {"broker_url": url, "broker_transport_options": options}


def _rabbitmq(settings: Settings, url: str) -> Options:
    transport = transport_of(settings)
    return {
        "broker_url": url,
        "broker_transport_options": {"confirm_publish": True},
        "task_queues": [transport.task_queue()],
        "task_default_queue": transport.QUEUE,
        "task_default_queue_type": "quorum",
        "worker_detect_quorum_queues": True,
    }
