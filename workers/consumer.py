"""Celery's consumer, made to survive every message and every fault of a transport."""

from collections.abc import Callable
from typing import Any

import structlog
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

from identity.model.errors import first_line
from workers.liveness import Heartbeat

log = structlog.get_logger(__name__)
celery_log = get_logger(__name__)


class LastingConsumer(Consumer):  # type: ignore[misc]
    """Rejects a message that cannot be handled, so that the broker sets it aside; reconnects after any other fault.

    A message that breaks the connection itself comes back, and is set aside when it was delivered too often.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.channel_errors = (Exception,)  # with ``broker_channel_error_retry``: any fault is followed by another try
        self.heartbeat: Heartbeat = self.app.heartbeat

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long that takes; look for the broker every second, not less and less often."""

        def on_error(error: Exception, pause_s: float) -> None:
            self.heartbeat.beat()  # a program that looks for the broker is not stuck: to start anew would take longer
            detail = {"error": type(error).__name__, "detail": first_line(error)}
            log.warning("broker_does_not_answer", **detail, looks_again_in_s=pause_s)

        conn.ensure_connection(
            on_error, max_retries=None, callback=maybe_shutdown, interval_start=0.2, interval_step=0.2, interval_max=1.0
        )
        return conn

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], None]:
        """Return what handles each message."""
        handle = super().create_task_handler(*arguments, **options)

        def on_message(message: Any) -> None:
            self.heartbeat.beat()
            foreign = getattr(message, "foreign", None)
            if foreign is not None:
                log.error("message_set_aside", reason=foreign)
                message.reject_log_error(celery_log, self.connection_errors)
                return
            try:
                handle(message)
            except self.connection_errors:
                raise  # the broker gives the message to another connection
            except Exception:
                log.exception("message_set_aside", reason="not_handled")
                if not message.acknowledged:
                    message.reject_log_error(celery_log, self.connection_errors)

        return on_message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Set aside what Celery would have deleted."""
        log.error("message_set_aside", reason=type(exc).__name__)
        message.reject_log_error(celery_log, self.connection_errors)
