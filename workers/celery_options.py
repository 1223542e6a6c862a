"""Celery's options, for every broker: a lost task loses no work, and a message holds nothing but JSON."""

from typing import Any

HARD_LIMIT, SOFT_LIMIT = 0.8, 0.6
"""Of the visibility timeout: when a task is killed, and when it is interrupted."""

OPTIONS: dict[str, Any] = {
    "accept_content": ["json"],  # pickle would let any client of the broker run code here
    "task_serializer": "json",
    "result_serializer": "json",
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_enable_remote_control": False,  # no client of the broker steers a worker
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


def options(visibility_timeout_s: int) -> dict[str, Any]:
    """Return Celery's options. A task ends before its message becomes visible, and goes to a second worker."""
    return OPTIONS | {
        "task_time_limit": visibility_timeout_s * HARD_LIMIT,
        "task_soft_time_limit": visibility_timeout_s * SOFT_LIMIT,
    }


def worker_arguments(pool: str, threads: int, log_level: str) -> list[str]:
    """Return the arguments of Celery's command line for a worker."""
    return [
        "--quiet", "worker", f"--pool={pool}", f"--concurrency={threads}",
        "--without-gossip", "--without-mingle", "--without-heartbeat", f"--loglevel={log_level}",
    ]  # fmt: skip
