"""The web server: granian, with settings under which thousands of slow clients keep nobody out."""

import resource
import signal
import sys
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from config.isolation import isolation_is_proved
from config.sealed import refuse_wrong_key
from config.settings import Settings
from config.started import log_start
from server.failures import reference_of, told
from server.management import managed
from server.ports import port_held
from server.process import follow_parent
from server.respawning import RespawningServer, take_signals

HEADER_READ_TIMEOUT_MS = 3_000  # a client that dribbles its headers is gone after this
BACKLOG = 16_384
BACKPRESSURE = 12_000  # connections held at once; measured to survive 9,000 slow clients
BUFFER_BYTES = 65_536  # of headers; bodies have their own limit
DRAIN_S = 25  # for answers under way when told to stop
OPEN_FILES = BACKPRESSURE + 1_000

log = structlog.get_logger(__name__)


def run_web(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); every web process builds its own application.

    Without a database it serves /livez and /readyz, and refuses all else until there is one. Raises ``Unavailable``
    when the database says that it does not isolate tenants, or holds signing keys that another key-encryption key has
    sealed; ``SettingsError`` without a key-encryption key; ``PortRefused``; and the driver's error when the database
    refuses the login.
    """
    settings.key_encryption_key_bytes  # noqa: B018 - asked for its refusal, which is clearer here than in each process
    with port_held(settings.host, settings.port, setting="IDENTITY_PORT or --port"):
        if isolation_is_proved(settings):
            refuse_wrong_key(settings)
        log_start(settings, "serve", address=f"{settings.host}:{settings.port}")
        with managed(settings.management_host, settings.management_port, settings.log_format):
            _serve(settings)


def _serve(settings: Settings) -> None:
    server = web_server(settings)

    def load(_target: str) -> Any:
        begin_web_process()
        try:
            from config.web_process import serve  # noqa: PLC0415 - in the web process only: it counts for the metrics

            application = serve(settings)
        except Exception as error:
            log.error("web_process_failed", detail=told(error))  # noqa: TRY400 - its place is for the level debug
            log.debug("web_process_failed", reference=reference_of(error), exc_info=error)
            sys.exit(1)
        server.has_loaded.set()
        return application

    server.serve(target_loader=load)


def begin_web_process() -> None:
    """Undo what a web process has inherited from granian's main one, with which it ends: before all else."""
    for number in (signal.SIGTERM, signal.SIGINT):  # granian takes them later: what came before was lost
        signal.signal(number, signal.SIG_DFL)
    take_signals()
    follow_parent()


def web_server(settings: Settings) -> RespawningServer:
    """Return the server before it serves anything; what it will serve is said by whoever starts it."""
    _allow_open_files()
    return RespawningServer(
        "config.app:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # TLS and HTTP/2 end at the proxy
        websockets=False,
        workers=settings.web_processes,
        runtime_mode=RuntimeModes.st,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_TIMEOUT_MS, max_buffer_size=BUFFER_BYTES),
        workers_kill_timeout=DRAIN_S,
        log_level=LogLevels.warning,
    )


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
