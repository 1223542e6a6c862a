"""The database goes away in the middle of a request: every route says 503 in its own form, and nothing is changed.

What is lost is the one connection that the request works on, at each of its statements in turn. Where it was lost
before anything was asked of it, another is taken and the request is answered as ever.
"""

import dataclasses
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from dev.postgres import SUPERUSER
from identity.edge.runtime import Runtime
from identity.store.transaction import make_engine
from tests.access.endpoint_matrix import ADMIN, ASKS, OAUTH, PUBLIC, SCIM, Ask
from tests.access.owned_objects import Estate
from tests.conftest import Server

IN_FULL = bool(os.environ.get("IDENTITY_PROVE_FAULTS"))
STATEMENTS_MAX = 40
SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
WITHOUT_DATABASE = ("/livez", "/readyz", "/admin/v1/openapi.json", "/admin/v1/problems/conflict")
"""What asks nothing of the database, and /readyz, whose answer is about it."""

SHORT = {
    "GET /t/{tenant}/jwks",
    "GET /.well-known/oauth-authorization-server/t/{tenant}",
    "GET /.well-known/oauth-protected-resource/t/{tenant}/scim/v2",
    "GET /t/{tenant}/scim/v2/ServiceProviderConfig",
    "GET /t/{tenant}/scim/v2/Users",
    "POST /t/{tenant}/scim/v2/Users",
    "PATCH /t/{tenant}/scim/v2/Users/{kim}",
    "DELETE /t/{tenant}/scim/v2/Users/{kim}",
    "POST /t/{tenant}/scim/v2/Bulk",
    "POST /t/{tenant}/oauth/token id_token",
    "POST /t/{tenant}/oauth/introspect",
    "POST /t/{tenant}/oauth/revoke",
    "GET /admin/v1/tenants/{tenant}/principals",
    "POST /admin/v1/tenants",
    "POST /admin/v1/tenants/{tenant}/principals/{sam}/suspend",
}
"""One request of each kind on each surface: in the short form these, in the long form every one."""

ALL = {str(ask): ask for ask in ASKS if ask.path not in WITHOUT_DATABASE and ask.status < 400}
LOST = {name: ask for name, ask in ALL.items() if IN_FULL or name in SHORT}


class Killer:
    """Ends the session of the statement that it is set on; counts those that came, BEGINs apart."""

    def __init__(self, superuser: psycopg.Connection) -> None:
        self.superuser, self.at, self.seen = superuser, -1, 0
        self.last = ""

    def set(self, at: int) -> None:
        self.at, self.seen, self.last = at, 0, ""

    def __call__(self, conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("BEGIN") or self.at < 0:
            return
        if self.seen == self.at:
            self.last = statement
            pid = conn.connection.dbapi_connection.info.backend_pid
            self.superuser.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        self.seen += 1


@contextmanager
def killing(server: Server, runtime: Runtime) -> Iterator[Killer]:
    with psycopg.connect(host=server.socket_folder, user=SUPERUSER, dbname="identity", autocommit=True) as superuser:
        killer = Killer(superuser)
        event.listen(runtime.engine, "before_cursor_execute", killer)
        yield killer
        event.remove(runtime.engine, "before_cursor_execute", killer)


@pytest.fixture
def killer(server: Server, refusing_estate: Estate) -> Iterator[Killer]:
    """Not one row may have changed at the end of a test."""
    refusing_estate.app.test_client().get(f"/t/{refusing_estate.mine['tenant']}/jwks")  # the process knows its tenant
    with killing(server, refusing_estate.app.extensions["identity"]) as made:
        yield made
        made.set(-1)


def ask_once(sandbox: Estate, ask: Ask) -> TestResponse:
    headers = ask.credential(sandbox.mine)
    if ask in PUBLIC:
        sandbox.app.extensions["identity"].tenants.clear()  # what the process knows it need not ask
    if ask in ADMIN and ask.method == "POST":
        headers["Idempotency-Key"] = f'"{uuid4()}"'
    return sandbox.app.test_client().open(**ask.filled(sandbox.mine), headers=headers)


def expect_unavailable(ask: Ask, answer: TestResponse, where: str) -> None:
    assert "Retry-After" in answer.headers, (where, answer.status, answer.text)
    body = answer.get_json(force=True)
    assert answer.status_code == 503, (where, answer.text)
    if ask in SCIM:
        assert (body["schemas"], body["status"]) == ([SCIM_ERROR], "503")
    elif ask in ADMIN:
        assert answer.content_type == "application/problem+json"
        assert (body["code"], body["status"]) == ("unavailable", 503)
    elif ask in OAUTH:
        assert body["error"] == "temporarily_unavailable"


def expect_logged(logs: list[MutableMapping[str, Any]], where: str) -> None:
    """The log says why, once, and holds no statement."""
    [line] = [line for line in logs if line["event"] == "unavailable"]
    assert "terminating connection" in line["cause"], (where, line)
    assert (line["log_level"], "SELECT" in line["cause"], "\n" in line["cause"]) == ("warning", False, False)


def test_the_short_form_names_requests_that_there_are() -> None:
    assert set(ALL) >= SHORT


@pytest.mark.promise(6)
@pytest.mark.promise(9)
@pytest.mark.parametrize("ask", LOST.values(), ids=LOST)
def test_a_connection_that_is_lost_in_mid_request_is_503_and_nothing_is_changed(
    refusing_estate: Estate, killer: Killer, ask: Ask
) -> None:
    """At the first statement, at the next, and so on to the COMMIT, which is never carried out."""
    for at in range(STATEMENTS_MAX):
        killer.set(at)
        with capture_logs() as logs:
            answer = ask_once(refusing_estate, ask)
        assert killer.last, (at, "it ended without a COMMIT", answer.status)
        expect_unavailable(ask, answer, killer.last)
        expect_logged(logs, killer.last)
        if killer.last.endswith("COMMIT"):
            return
    raise AssertionError("it never commits")


@pytest.mark.promise(9)
def test_a_bulk_whose_operation_lost_the_database_says_so_and_when_to_come_back(
    refusing_estate: Estate, killer: Killer
) -> None:
    """The Bulk itself is answered: what was done before stays done (RFC 7644 §3.7.3)."""
    bulk = ALL["POST /t/{tenant}/scim/v2/Bulk"]
    for at in range(STATEMENTS_MAX):
        killer.set(at)
        with capture_logs() as logs:
            answer = ask_once(refusing_estate, bulk)
        assert "Retry-After" in answer.headers, (killer.last, answer.text)
        if answer.status_code == 200:
            break
    expect_logged(logs, killer.last)
    [operation] = answer.get_json(force=True)["Operations"]
    assert (operation["status"], operation["response"]["status"]) == ("503", "503")


@pytest.mark.parametrize("path", ["/t/{tenant}/scim/v2/Users", "/t/{tenant}/oauth/token", "/admin/v1/tenants"])
def test_a_database_that_is_not_there_is_503_on_every_surface(
    refusing_estate: Estate, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = refusing_estate.app
    away = make_engine("postgresql://nobody@/nowhere?host=/nonexistent")
    monkeypatch.setitem(app.extensions, "identity", dataclasses.replace(app.extensions["identity"], engine=away))
    ask = next(ask for ask in ASKS if ask.path == path and ask.method == ("POST" if "token" in path else "GET"))
    expect_unavailable(ask, ask_once(refusing_estate, ask), "connect")
