"""The web server: granian, with limits under which thousands of slow clients keep no other client out."""

import resource
import signal

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from server.process import follow_parent
from server.respawning import RespawningServer, take_signals

HEADER_READ_TIMEOUT_MS = 3_000  # a client that sends its headers more slowly is disconnected
BACKLOG = 16_384
BACKPRESSURE = 12_000  # connections held at once; measured to survive 9,000 slow clients
BUFFER_BYTES = 65_536  # of headers; bodies have their own limit
DRAIN_S = 25  # for responses under way at a signal to stop
OPEN_FILES = BACKPRESSURE + 1_000


def web_server(host: str, port: int, processes: int) -> RespawningServer:
    """Return the server before it serves anything. Its ``serve`` takes the loader of each process's application."""
    _allow_open_files()
    return RespawningServer(
        "config.app:create_app",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # TLS and HTTP/2 end at the proxy
        websockets=False,
        workers=processes,
        runtime_mode=RuntimeModes.st,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_TIMEOUT_MS, max_buffer_size=BUFFER_BYTES),
        workers_kill_timeout=DRAIN_S,
        log_level=LogLevels.warning,
    )


def begin_web_process() -> None:
    """Undo what a web process has inherited from granian's main one, with which it ends: before all else."""
    for number in (signal.SIGTERM, signal.SIGINT):  # granian takes them later: until then they were lost
        signal.signal(number, signal.SIG_DFL)
    take_signals()
    follow_parent()


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
