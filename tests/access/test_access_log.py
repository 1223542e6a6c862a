"""The access log: a line for each request, with who asked what of which tenant, and nothing that a caller chose."""

import asyncio
import io
import json
import sys
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from config.settings import load_settings
from config.web_process import access_log, rsgi_application
from identity.model.errors import RateLimited
from server.access_log import AccessLog
from server.request_bodies import RequestBodies
from tests.access.endpoint_matrix import ADMIN, ASKS, OAUTH, SCIM, Ask, Who
from tests.access.owned_objects import Estate
from tests.config.test_front import Headers, Protocol, Scope

MEMBERS = {"request_id", "tenant", "caller", "method", "route", "status", "ms", "event", "logger", "level", "timestamp"}
KEPT = [ask for ask in ASKS if ask.method == "GET" or ask in OAUTH]
PROBES = ("/livez", "/readyz")


class Served:
    """An application behind its front, and what it has logged of requests."""

    def __init__(self, sandbox: Estate, **settings: Any) -> None:
        self.stream = io.StringIO()
        chosen = load_settings(database_url=sandbox.owner_url, **settings)
        self.front = rsgi_application(sandbox.app, chosen, access=access_log(chosen, self.stream))

    def ask(self, **asked: Any) -> tuple[int, list[dict[str, Any]]]:
        """Ask once; return the status and the lines of it."""
        self.stream.seek(0)
        self.stream.truncate()
        builder = EnvironBuilder(**asked)
        environ, protocol = builder.get_environ(), Protocol()
        protocol.body = builder.get_request().get_data()
        fields = [(name.lower(), value) for name, value in builder.get_request().headers]
        scope = Scope(Headers(*fields), builder.path, builder.method, environ["QUERY_STRING"])

        async def run() -> None:
            await self.front.__rsgi__(scope, protocol)

        asyncio.run(run())
        assert protocol.answered is not None
        return protocol.answered[0], [json.loads(line) for line in self.stream.getvalue().splitlines()]


def expected_caller(ask: Ask, line: dict[str, Any], sandbox: Estate) -> bool:
    """Whether a line names the caller that proved itself, by kind and id."""
    if ask in ADMIN and ask.credential(sandbox.mine):
        return bool(line["caller"] == "administrator:administrator")
    if ask in OAUTH and ask.credential(sandbox.mine):
        return bool(line["caller"] == f"client:{sandbox.mine[ask.client]}")
    if ask.who is Who.AGENT:
        return bool(line["caller"].startswith("client:"))
    return bool(line["caller"] is None or line["caller"].startswith("connection:"))


def test_every_route_is_logged_with_its_rule_its_tenant_and_its_caller(sandbox: Estate) -> None:
    served, mine = Served(sandbox), sandbox.mine
    for ask in KEPT:
        headers = ask.credential(mine) | {"X-Request-Id": "request-of-a-test"}
        status, lines = served.ask(**ask.filled(mine), headers=headers)
        if ask.path in PROBES:
            assert (status, lines) == (200, []), ask
            continue
        [line] = lines
        assert line.keys() == MEMBERS
        assert (line["request_id"], line["method"], line["status"]) == ("request-of-a-test", ask.method, status), ask
        assert line["tenant"] == (mine["tenant"] if "{tenant}" in ask.path and status < 400 else line["tenant"]), ask
        assert line["route"] is not None, ask
        assert not any(value in line["route"] for value in mine.values()), ask
        assert expected_caller(ask, line, sandbox), (ask, line)
        if ask in SCIM and status < 400:
            assert line["caller"].startswith("connection:"), ask


def test_a_refused_caller_is_nobody_and_a_rival_is_itself(sandbox: Estate) -> None:
    served, path = Served(sandbox), f"/t/{sandbox.mine['tenant']}/scim/v2/Users"
    strangers = {"Authorization": "Bearer idf_scim_" + "x" * 43}
    status, [line] = served.ask(path=path, headers=strangers, query_string='filter=userName eq "sam"')
    assert (status, line["caller"], line["tenant"]) == (401, None, sandbox.mine["tenant"])
    assert "xxx" not in served.stream.getvalue()
    assert "sam" not in served.stream.getvalue()
    theirs = {"Authorization": f"Bearer {sandbox.rivals['scim_token']}"}
    status, [line] = served.ask(path=f"/t/{sandbox.rivals['tenant']}/scim/v2/Users", headers=theirs)
    assert (status, line["tenant"]) == (200, sandbox.rivals["tenant"])
    status, [line] = served.ask(path="/nowhere/at/all")  # nothing of the request before
    assert (status, line["tenant"], line["caller"], line["route"]) == (404, None, None, None)


def test_a_request_that_is_refused_unread_is_logged_too(sandbox: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    served, tenant = Served(sandbox), sandbox.mine["tenant"]
    served.ask(path=f"/t/{tenant}/jwks")  # now the process knows the tenant

    async def refuse(*_: Any) -> bytes:
        raise RateLimited("x", wait_s=1)

    with monkeypatch.context() as flooded:
        flooded.setattr(RequestBodies, "read", refuse)
        status, [line] = served.ask(path=f"/t/{tenant}/oauth/token", method="POST")
    assert (status, line["status"], line["tenant"], line["route"]) == (429, 429, tenant, None)
    assert len(line["request_id"]) == 32
    served.front._is_ready = lambda: False
    assert served.ask(path=f"/t/{tenant}/jwks")[1][0]["status"] == 503
    served.front._is_ready = lambda: True
    status, [line] = served.ask(path=f"/t/{tenant}//jwks")  # before its turn
    assert (status, line["status"], line["route"]) == (404, 404, None)
    assert line["request_id"]


def test_a_probe_that_is_not_ready_is_logged(sandbox: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(sandbox)
    monkeypatch.setattr(sandbox.app, "view_functions", sandbox.app.view_functions | {"readyz": lambda: ("", 503)})
    status, [line] = served.ask(path="/readyz")
    assert (status, line["route"]) == (503, "/readyz")


@pytest.mark.parametrize("settings", [{"access_log": False}, {"log_level": "warning"}, {"log_level": "error"}])
def test_it_can_be_turned_off(sandbox: Estate, settings: dict[str, Any]) -> None:
    assert Served(sandbox, **settings).ask(path="/nowhere")[1] == []


def test_a_request_id_that_looks_like_a_secret_and_a_method_that_is_none_are_not_kept(sandbox: Estate) -> None:
    served = Served(sandbox)
    _, [line] = served.ask(path="/nowhere", method="BREW", headers={"X-Request-Id": "A1b2" * 12})
    assert (line["request_id"], line["method"]) == ("[redacted]", "other")


def test_it_costs_little() -> None:
    """A line is written without the log's own machinery: at most so many Python calls."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    log = AccessLog(io.StringIO())
    log.note("GET", 200, "acme", "a-request", 0.01, {})
    sys.setprofile(count)
    try:
        log.note("GET", 200, "acme", "a-request", 0.01, {})
    finally:
        sys.setprofile(None)
    assert calls <= 12
