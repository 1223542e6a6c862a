"""The web server, composed: what is checked before it serves, and the application of each of its processes."""

import sys
from typing import Any

import structlog

from config.isolation import isolation_is_proved, refuse_wrong_key
from config.settings import Settings
from config.started import log_start
from server.failures import explain, reference_of
from server.management import managed
from server.ports import port_held
from server.web_server import begin_web_process, web_server

log = structlog.get_logger(__name__)


def run_web(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; every web process builds its own application.

    Without a database it serves /livez and /readyz, and refuses all else until there is one. Raises ``Unavailable``
    when the database does not isolate tenants, or holds signing keys that another key-encryption key has
    encrypted; ``SettingsError`` without a key-encryption key; ``PortRefused``; and the driver's error when the database
    refuses the login.
    """
    settings.key_encryption_key_bytes  # noqa: B018 - it raises here, once, and not in each process
    with port_held(settings.host, settings.port, setting="IDENTITY_PORT or --port"):
        if isolation_is_proved(settings):
            refuse_wrong_key(settings)
        log_start(settings, "serve", address=f"{settings.host}:{settings.port}")
        with managed(settings.management_host, settings.management_port, settings.log_format):
            _serve(settings)


def _serve(settings: Settings) -> None:
    server = web_server(settings.host, settings.port, settings.web_processes)

    def load(_target: str) -> Any:
        begin_web_process()
        try:
            from config.web_process import serve  # noqa: PLC0415 - in the web process only: it counts for the metrics

            application = serve(settings)
        except Exception as error:
            log.error("web_process_failed", detail=explain(error))  # noqa: TRY400 - its place is for the level debug
            log.debug("web_process_failed", reference=reference_of(error), exc_info=error)
            sys.exit(1)
        server.has_loaded.set()
        return application

    server.serve(target_loader=load)
