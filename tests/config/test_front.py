"""A request as granian hands it over, and as the application sees it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import ConcurrencyLimiter
from identity.edge.metrics import REQUESTS, TURNED_AWAY
from identity.model.errors import LimitExceeded, RateLimited
from server.request_bodies import BodyTooSlow, RequestBodies
from server.rsgi import RsgiApplication, environ_of


class Headers:
    """What granian has of headers: ``items`` leaves out a value that is not ASCII."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self._fields = fields

    def items(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self._fields if value.isascii()]

    def get(self, key: str, default: str) -> str:
        return dict(self.items()).get(key, default)

    def __contains__(self, key: str) -> bool:
        return key in dict(self._fields)

    def __iter__(self) -> Any:
        return iter(dict(self._fields))

    def __len__(self) -> int:
        return len(dict(self._fields))


@dataclass
class Scope:
    headers: Headers = field(default_factory=Headers)
    path: str = "/t/acme/oauth/token"
    method: str = "POST"
    query_string: str = "a=b&c=%20"
    http_version: str = "1.1"
    scheme: str = "http"
    server: str = "127.0.0.1:8080"
    client: str = "[::1]:40000"
    authority: str | None = None


@dataclass
class Protocol:
    body: bytes = b""
    answered: tuple[int, list[tuple[str, str]], bytes] | None = None

    async def __call__(self) -> bytes:
        return self.body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answered = status, headers, body


def test_a_request_is_what_wsgi_says_it_is() -> None:
    fields = (
        ("content-type", "text/plain"),
        ("content-length", "2"),
        ("x-two", "a"),
        ("x-two", "b"),
        ("x-odd", "\xe9"),
    )
    environ = environ_of(Scope(Headers(*fields)), "/t/\xc3\xa9", b"{}")
    expected = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/t/\xc3\xa9", "QUERY_STRING": "a=b&c=%20", "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "::1",
        "wsgi.url_scheme": "http", "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "2", "HTTP_X_TWO": "a,b",
        "HTTP_X_ODD": "", "HTTP_HOST": "",
    }  # fmt: skip
    assert {name: environ.get(name) for name in expected} == expected
    assert environ["wsgi.input"].read() == b"{}"
    assert "PATH" not in environ  # nothing of this process's environment


class Application:
    """Says what it got, and whether it was told that it is over."""

    closed = 0

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("201 CREATED", [("X-Path", environ["PATH_INFO"])])
        self.body = environ["wsgi.input"].read()
        return self

    def __iter__(self) -> Any:
        return iter([b"so ", self.body])

    def close(self) -> None:
        self.closed += 1


def answer(protocol: Protocol, scope: Scope, **options: Any) -> Application:
    async def run() -> None:
        await front.__rsgi__(scope, protocol)

    application = Application()
    admission = AdmissionMiddleware(application, ConcurrencyLimiter(), frozenset())
    front = RsgiApplication(admission, bodies=RequestBodies(1_000), threads=1, **options)
    asyncio.run(run())
    return application


def test_a_whole_request_is_answered_by_the_application() -> None:
    protocol = Protocol(b"{}")
    application = answer(protocol, Scope(Headers(("content-length", "2")), path="/\xe9"))
    assert protocol.answered == (201, [("X-Path", "/\xc3\xa9")], b"so {}")
    assert application.closed == 1


@pytest.mark.parametrize(("path", "status"), [("/t/acme/oauth/token", 503), ("/livez", 201), ("/readyz", 201)])
def test_before_tenants_are_isolated_only_the_probes_are_let_in(path: str, status: int) -> None:
    protocol = Protocol()
    answer(protocol, Scope(path=path), is_ready=lambda: False)
    assert protocol.answered is not None
    assert protocol.answered[0] == status
    assert status != 503 or dict(protocol.answered[1])["Retry-After"]


@pytest.mark.parametrize(("raised", "status"), [("RateLimited", 429), ("LimitExceeded", 413), ("BodyTooSlow", 408)])
def test_what_is_refused_unread_is_counted(raised: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> bytes:
        raise {
            "RateLimited": RateLimited("x", wait_s=1),
            "LimitExceeded": LimitExceeded("x"),
            "BodyTooSlow": BodyTooSlow(),
        }[raised]

    monkeypatch.setattr(RequestBodies, "read", refuse)
    requests, turned_away = REQUESTS.labels("none", "POST", status), TURNED_AWAY.labels("oauth")
    before = requests._value.get(), turned_away._value.get()
    protocol = Protocol()
    answer(protocol, Scope())
    assert protocol.answered is not None
    assert protocol.answered[0] == status
    assert (requests._value.get(), turned_away._value.get()) == (before[0] + 1, before[1] + (status == 429))
