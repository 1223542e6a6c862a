"""The web server: granian, with settings under which thousands of slow clients keep nobody out."""

import logging
import resource
import signal
from typing import Any

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server
from granian.server.common import AbstractServer

from config.isolation import refuse_unisolated
from config.management import managed
from config.process import follow_parent
from config.settings import Settings
from config.telemetry import configure_logging
from identity.fairness import READERS, SEATS
from identity.refusals import keep_writing_refusals

HEADER_READ_TIMEOUT_MS = 3_000  # a client that dribbles its headers is gone after this
BACKLOG = 16_384
BACKPRESSURE = 12_000  # connections held at once; measured to survive 9,000 slow clients
BUFFER_BYTES = 65_536  # of headers; bodies have their own limit
REFUSALS_WRITTEN_EVERY_S = 5.0  # so long may the count of a minute that is over stay unwritten
DRAIN_S = 25  # for answers under way when told to stop
OPEN_FILES = BACKPRESSURE + 1_000


def run_web(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); every web process builds its own application."""
    refuse_unisolated(settings)
    with managed(settings.management_host, settings.management_port):
        _serve(settings)


def _serve(settings: Settings) -> None:
    server = web_server(settings)

    def load(_target: str) -> Any:
        for number in (signal.SIGTERM, signal.SIGINT):  # granian takes them later: what came before was lost
            signal.signal(number, signal.SIG_DFL)
        follow_parent()
        configure_logging(settings.log_format, settings.log_level)
        from config.app import create_app  # noqa: PLC0415 - in the web process only: it opens connections

        app = create_app(settings)
        shared = app.extensions["identity"]
        keep_writing_refusals(shared.refusals, shared.engine, shared.clock, every_s=REFUSALS_WRITTEN_EVERY_S)
        return app

    server.serve(target_loader=load)


def web_server(settings: Settings) -> AbstractServer[Any]:
    """Return the server before it serves anything; what it will serve is said by whoever starts it."""
    _allow_open_files()
    logging.getLogger("_granian").addFilter(_is_about_us)
    return Server(
        "config.app:create_app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,  # TLS and HTTP/2 end at the proxy
        websockets=False,
        workers=settings.web_processes,
        blocking_threads=settings.web_places + SEATS + READERS,  # who waits or reads holds a thread, too
        runtime_mode=RuntimeModes.st,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_TIMEOUT_MS, max_buffer_size=BUFFER_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_S,
        log_level=LogLevels.warning,
    )


def _is_about_us(record: logging.LogRecord) -> bool:
    """False for the warning that threads are many: most of them only wait for their turn (``Door``)."""
    return "Python threads" not in record.getMessage()


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
