"""Bodies that come slowly, or not at all: they are given up in time, and until then they keep nobody waiting.

With IDENTITY_PROVE_FAULTS set, 2,000 connections attack for as long as 800 requests take.
"""

import json
import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import httpx2
import pytest

from tests.access.conftest import Plan
from tests.access.owned_objects import ADMIN_TOKEN, Belongings, basic
from tests.access.slow_clients import Shape, attacked, posted
from tests.config.test_management import free_port, status, wait_until
from tests.conftest import Server

ROOT = Path(__file__).parent.parent.parent
IN_FULL = bool(os.environ.get("IDENTITY_PROVE_FAULTS"))
ATTACKERS, ASKED = (2_000, 800) if IN_FULL else (300, 60)
CALLERS = 4
ANSWERED_MIN = 0.95
BODY_BYTES_MAX = 262_144

pytestmark = pytest.mark.timeout(900 if IN_FULL else 120)

TOKEN, USERS, TENANTS = "/t/acme/oauth/token", "/t/acme/scim/v2/Users", "/admin/v1/tenants"
FORM, SCIM, JSON = (f"Content-Type: application/{name}" for name in ("x-www-form-urlencoded", "scim+json", "json"))


@dataclass(frozen=True, slots=True)
class Served:
    """A running `identity serve` with both tenants."""

    port: int
    has: Belongings

    def ask(self, http: httpx2.Client, path: str) -> int:
        """Ask as one who has the right to, with a body that comes at once; return the status."""
        base = f"http://127.0.0.1:{self.port}{path}"
        if path == TOKEN:
            form = {"grant_type": "client_credentials", "resource": self.has["audience"]}
            headers = {"Authorization": basic(self.has["client"], self.has["client_secret"])}
            return http.post(base, data=form, headers=headers).status_code
        if path == TENANTS:
            body = {"slug": f"t-{uuid4().hex[:16]}", "display_name": "One of many"}
            return http.post(base, json=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}).status_code
        user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": uuid4().hex}
        return http.post(base, json=user, headers={"Authorization": f"Bearer {self.has['scim_token']}"}).status_code


@pytest.fixture(scope="module")
def served(server: Server, plan: Plan) -> Iterator[Served]:
    name, port = server.copy(plan.database, prefix="slow"), free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    mine = {
        "IDENTITY_DATABASE_URL": server.url(name, role="identity_app"), "IDENTITY_PORT": str(port),
        "IDENTITY_KEY_ENCRYPTION_KEY": b64encode(bytes(32)).decode(), "IDENTITY_ADMIN_TOKEN": ADMIN_TOKEN,
        "IDENTITY_MANAGEMENT_PORT": "0", "IDENTITY_BODY_BYTES_MAX": str(BODY_BYTES_MAX),
        "IDENTITY_SCIM_REQUESTS_PER_S": "10000",
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "cli", "serve"], cwd=ROOT, env=clean | mine)
    try:
        wait_until(lambda: status(port, "/readyz") == 200, 60)
        assert status(port, "/t/acme/jwks") == 200  # the process has met its tenant
        yield Served(port, plan.mine)
    finally:
        process.terminate()
        process.wait(30)
        server.drop(name)


IN_ITS_FORM = {
    TOKEN: (FORM, "application/json", "error", "invalid_request"),
    USERS: (SCIM, "application/scim+json", "status", "408"),
    TENANTS: (JSON, "application/problem+json", "code", "body_too_slow"),
}


def heard(port: int, path: str) -> bytes:
    """Send one byte of a body, and return all that is said before the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(posted(path, IN_ITS_FORM[path][0], body=b"{", length=2))
        said = b""
        while part := connection.recv(65_536):
            said += part
        return said


@pytest.mark.promise(9)
def test_a_body_that_does_not_come_is_408_in_the_form_of_its_surface_and_the_connection_is_closed(
    served: Served,
) -> None:
    with ThreadPoolExecutor(len(IN_ITS_FORM)) as crowd:
        answers = list(crowd.map(lambda path: heard(served.port, path), IN_ITS_FORM))
    for answer, (_, content_type, member, value) in zip(answers, IN_ITS_FORM.values(), strict=True):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 "), head
        assert f"content-type: {content_type}".encode() in head.lower()
        assert b"connection: close" in head.lower()
        assert json.loads(body)[member] == value


HALF = urlencode({"grant_type": "client_credentials", "resource": "https://erp.example"}).encode()
SHAPES = {
    "a byte every quarter of a second": (TOKEN, Shape(posted(TOKEN, FORM, length=400), b"a")),
    "nothing after half of it": (TOKEN, Shape(posted(TOKEN, FORM, body=HALF, length=2 * len(HALF)))),
    "one byte short": (TOKEN, Shape(posted(TOKEN, FORM, body=HALF, length=len(HALF) + 1))),
    "a large form, one byte short": (TOKEN, Shape(posted(TOKEN, FORM, body=b"a" * 60_000, length=60_001))),
    "no chunk but the first": (TOKEN, Shape(posted(TOKEN, FORM, body=b"1\r\na\r\n"))),
    "a small chunk now and then": (TOKEN, Shape(posted(TOKEN, FORM), b"1\r\na\r\n")),
    "crumbs": (TOKEN, Shape(posted(TOKEN, FORM, body=b"1\r\na\r\n" * 2_000))),
    "a resource, byte by byte": (USERS, Shape(posted(USERS, SCIM, length=100_000), b"{")),
    "a resource, one byte short": (USERS, Shape(posted(USERS, SCIM, body=b"{" * 70_000, length=70_001))),
    "an administrator's, byte by byte": (TENANTS, Shape(posted(TENANTS, JSON, length=400), b"{")),
    "answers that nobody reads": (
        TOKEN,
        Shape(b"GET /t/acme/jwks HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20, reads=False),
    ),
}
SHORT = {
    "a byte every quarter of a second", "a large form, one byte short", "a small chunk now and then",
    "a resource, byte by byte", "an administrator's, byte by byte",
}  # fmt: skip


def answered(served: Served, path: str) -> float:
    """Return which share of requests with whole bodies are granted, sent by a few callers at once."""
    with (
        httpx2.Client(timeout=30, limits=httpx2.Limits(max_connections=CALLERS)) as http,
        ThreadPoolExecutor(CALLERS) as crowd,
    ):
        statuses = list(crowd.map(lambda _: served.ask(http, path), range(ASKED)))
    print(path, {status: statuses.count(status) for status in set(statuses)})
    return sum(status < 300 for status in statuses) / len(statuses)


@pytest.mark.promise(8)
@pytest.mark.parametrize("name", SHAPES if IN_FULL else sorted(SHORT))
def test_who_sends_slowly_takes_nothing_of_who_does_not(served: Served, name: str) -> None:
    path, shape = SHAPES[name]
    with attacked(served.port, shape, ATTACKERS):
        began = time.monotonic()
        share = answered(served, path)
        print(f"{name}: {ASKED} answered, {share:.1%} granted, {time.monotonic() - began:.1f} s")
    assert share >= ANSWERED_MIN
    assert status(served.port, "/readyz") == 200
