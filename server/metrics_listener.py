"""The program that answers /metrics for Prometheus: it adds up what all web processes of one `identity serve` count."""

import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from server.management import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

REQUEST_S_MAX = 10
REMOVALS_MAX, REMOVED_AGAIN_S = 50, 0.1


def answer(environ: "WSGIEnvironment", start: "StartResponse") -> "Iterable[bytes]":
    """Answer GET /metrics with what all web processes counted, and anything else with 404."""
    if (environ.get("REQUEST_METHOD"), environ.get("PATH_INFO")) != ("GET", "/metrics"):
        start("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    body = generate_latest(registry)
    start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))])
    return [body]


class Listener(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread of its own, so a slow one keeps no other waiting."""

    daemon_threads = True


class Listener6(Listener):
    """The same at an IPv6 address."""

    address_family = socket.AF_INET6


class Request(WSGIRequestHandler):
    """One request; nothing is logged of it."""

    timeout = REQUEST_S_MAX

    def log_message(self, *_: Any) -> None:
        """Log nothing: Prometheus requests every few seconds."""


def listen(host: str, port: int) -> None:
    """Serve until SIGTERM. Raises ``OSError`` when the address is not free."""
    server = Listener6 if ":" in host else Listener
    with make_server(host, port, answer, server_class=server, handler_class=Request) as listener:
        listener.serve_forever()


def remove_folder(folder: Path) -> None:
    """Remove the folder of the numbers, though web processes that are ending may still make files in it."""
    for _ in range(REMOVALS_MAX):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(REMOVED_AGAIN_S)


def main() -> None:
    """Run the listener until SIGTERM, then remove the folder that the environment names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host, port = sys.argv[1], int(sys.argv[2])
    try:
        listen(host, port)
    except OSError as error:
        _log_refused(host, port, error)
        while True:
            signal.pause()  # the web processes write into the folder all the same, which is removed at the end
    finally:
        remove_folder(Path(os.environ[FOLDER]))


def _log_refused(host: str, port: int, error: OSError) -> None:
    import structlog  # noqa: PLC0415 - a process that listens logs nothing

    from server.telemetry import configure_logging  # noqa: PLC0415

    configure_logging("console" if sys.argv[3:] == ["console"] else "json")
    detail = f"metrics are not served: port {port} of {host} cannot be used ({error.strerror}); another server of this "
    advice = "machine may have it: choose another port with IDENTITY_MANAGEMENT_PORT"
    structlog.get_logger(__name__).warning("management_port_refused", detail=detail + advice)


if __name__ == "__main__":
    main()
