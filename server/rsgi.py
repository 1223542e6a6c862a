"""The application as granian calls it: it waits for a body without a thread, and then runs the request in one.

The web server's WSGI gives every request a thread with its headers, and a slow body keeps that thread. Here one event
loop waits for all bodies (``server.request_bodies``); a request that runs in a thread is complete.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from structlog.contextvars import clear_contextvars, get_contextvars

from identity.edge.admission import PROBES, AdmissionMiddleware
from identity.edge.early_refusals import NOT_READY, TOO_LARGE, TOO_MANY, TOO_SLOW, EarlyRefusal
from identity.edge.metrics import count_refused
from identity.model.errors import LimitExceeded, RateLimited, Unavailable
from server.access_log import AccessLog, Known
from server.request_bodies import BodyTooSlow, RequestBodies

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PROBING_THREADS = 2
"""Health probes have threads of their own, so they never wait for other requests."""

FIXED = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,  # it ends where the body ends, which Werkzeug wants to know
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}
OWN_NAMES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}

REFUSALS: dict[type[Exception], dict[str, EarlyRefusal]] = {
    Unavailable: NOT_READY,
    BodyTooSlow: TOO_SLOW,
    RateLimited: TOO_MANY,
    LimitExceeded: TOO_LARGE,
}


@dataclass(slots=True)
class Heading:
    """Status and header fields of a WSGI application's response."""

    status: int = 500
    headers: list[tuple[str, str]] | None = None

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
        """Keep them (PEP 3333 ``start_response``). The write function that PEP 3333 lets this return is not used."""
        self.status, self.headers = int(status[:3]), headers

    @property
    def request_id(self) -> str | None:
        """The id of the request that the caller sees."""
        return next((value for name, value in self.headers or () if name == "X-Request-Id"), None)


class RsgiApplication:
    """The application as granian calls it (RSGI).

    Until ``is_ready``, every request but the probes is refused. At most ``threads`` requests run at once.
    """

    def __init__(
        self,
        admission: AdmissionMiddleware,
        *,
        bodies: RequestBodies,
        threads: int,
        is_ready: Callable[[], bool] = lambda: True,
        access: AccessLog | None = None,
    ) -> None:
        self._admission, self._bodies, self._is_ready = admission, bodies, is_ready
        self._threads = ThreadPoolExecutor(threads, "request")
        self._probing = ThreadPoolExecutor(PROBING_THREADS, "probe")
        self._access = access

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        path, began_s = scope.path.encode().decode("latin-1"), time.perf_counter()  # as PEP 3333 has it
        threads, body = self._probing, b""
        tenant_key: Hashable = None
        if path not in PROBES:
            tenant_key, surface = self._admission.tenant_key_of(path)
            try:
                if not self._is_ready():
                    raise Unavailable("nothing is known of the database yet")
                threads, body = self._threads, await self._bodies.read(protocol, scope.headers, tenant_key)
            except tuple(REFUSALS) as refusal:
                heading = _refuse(protocol, REFUSALS[type(refusal)][surface])
                count_refused(surface, scope.method, heading.status)
                self._note(scope.method, heading, tenant_key, began_s, {})
                return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(threads, self._run, scope, protocol, path, body, tenant_key, began_s)

    def _run(self, scope: Any, protocol: Any, path: str, body: bytes, tenant_key: Hashable, began_s: float) -> None:
        clear_contextvars()  # of the request that this thread had before
        heading = Heading()
        chunks = self._admission(environ_of(scope, path, body), heading)
        try:
            _respond(protocol, heading, chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
            if path not in PROBES or heading.status != 200:
                self._note(scope.method, heading, tenant_key, began_s, get_contextvars())

    def _note(self, method: str, heading: Heading, tenant_key: Hashable, began_s: float, known: Known) -> None:
        if self._access is not None:
            tenant, took_s = tenant_key[0] if isinstance(tenant_key, tuple) else None, time.perf_counter() - began_s
            self._access.note(method, heading.status, tenant, heading.request_id, took_s, known)


def _refuse(protocol: Any, refused: EarlyRefusal) -> Heading:
    heading = Heading()
    _respond(protocol, heading, refused.answer(heading))
    return heading


def _respond(protocol: Any, heading: Heading, chunks: Iterable[bytes]) -> None:
    body = b"".join(chunks)
    protocol.response_bytes(heading.status, heading.headers or [], body)


def environ_of(scope: Any, path: str, body: bytes) -> "WSGIEnvironment":
    """Return a request as WSGI has it (PEP 3333). A value that is not ASCII is empty; several are joined by commas."""
    server, _, port = scope.server.rpartition(":")
    environ = FIXED | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": path,
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(body),
    }
    known = len(environ)
    for field, value in scope.headers.items():
        name = _name_of(field)
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    if len(environ) < known + len(scope.headers):  # values that are not ASCII were left out
        for field in scope.headers:
            environ.setdefault(_name_of(field), "")
    environ.setdefault("HTTP_HOST", scope.authority or "")
    return environ


def _name_of(field: str) -> str:
    return OWN_NAMES.get(field) or "HTTP_" + field.replace("-", "_").upper()
