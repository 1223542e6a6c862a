"""A path has one reading: what the admission and the router would read differently is not there, for all surfaces."""

import json
from typing import Any

import pytest

from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import ConcurrencyLimiter
from tests.access.owned_objects import Estate

PATHS = ("/t/acme/scim/v2/Users", "/t/acme/oauth/token", "/t/acme/jwks", "/admin/v1/tenants", "/livez", "/metrics")
ODD = {
    "two slashes in front": lambda path: "/" + path,
    "many slashes in front": lambda path: "////" + path,
    "an empty segment": lambda path: path[0] + path[1:].replace("/", "//", 1) if "/" in path[1:] else path + "//",
    "two slashes at the end": lambda path: path + "//",
    "a dot segment": lambda path: "/." + path,
    "a dot segment that leads back": lambda path: "/x/.." + path,
    "a dot segment at the end": lambda path: path + "/.",
    "a segment's parameters": lambda path: path + ";v=1",
    "a backslash": lambda path: path[0] + path[1:].replace("/", "\\", 1) if "/" in path[1:] else path + "\\",
    "a line break": lambda path: path + "\n",
    "a tab in front": lambda path: "/\t" + path[1:],
    "NUL": lambda path: path + "\0",
    "no slash in front": lambda path: path[1:],
    "a whole URL": lambda path: "http://identity.example" + path,
}


def asked(application: Any, path: str, method: str = "GET") -> tuple[str, dict[str, str], Any]:
    """Hand a path to an application as a web server does: decoded, and not looked at."""
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "SCRIPT_NAME": "", "QUERY_STRING": "",
    }  # fmt: skip
    body = b"".join(application(environ, lambda *heading: told.extend(heading)))
    return told[0], dict(told[1]), json.loads(body)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("spelling", ODD)
def test_an_odd_path_is_not_there_and_takes_no_turn(path: str, spelling: str) -> None:
    limiter = ConcurrencyLimiter(max_running=2, max_queued=0, queue_timeout_s=0)
    reached: list[str] = []
    door = AdmissionMiddleware(lambda environ, start: reached.append(environ["PATH_INFO"]) or [], limiter, {"acme"})  # type: ignore[func-returns-value]
    with limiter.slot("one"), limiter.slot("another"):  # nobody else would be let in
        status, headers, body = asked(door, ODD[spelling](path))
    assert status == "404 NOT FOUND"
    assert headers["X-Request-Id"]
    assert headers["Cache-Control"] == "no-store"
    assert not reached
    assert body


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/t/acme/scim/v2//Users", "application/scim+json"),
        ("/t/acme/oauth//token", "application/json"),
        ("/t/acme/tasks//x", "application/json"),
        ("//t/acme/scim/v2/Users", "application/problem+json"),
        ("//admin/v1/tenants", "application/problem+json"),
    ],
)
def test_each_surface_says_so_in_its_own_form(refusing_estate: Estate, path: str, content_type: str) -> None:
    status, headers, _ = asked(refusing_estate.app, path, "POST")
    assert (status, headers["Content-Type"]) == ("404 NOT FOUND", content_type)


@pytest.mark.promise(4)
def test_the_door_counts_a_request_for_the_tenant_that_the_router_finds(refusing_estate: Estate) -> None:
    app = refusing_estate.app
    door = app.wsgi_app
    assert isinstance(door, AdmissionMiddleware)
    known = AdmissionMiddleware(door.application, door.limiter, {"acme"})
    of_tenants = [rule for rule in app.url_map.iter_rules() if "slug" in rule.arguments]
    assert of_tenants
    for rule in of_tenants:
        values = dict.fromkeys(rule.arguments, "x") | {"slug": "acme"}
        built = rule.build(values)
        assert built is not None
        party, _ = known.tenant_key_of(built[1])
        assert party is not None, rule
        assert party[0] == "acme", rule  # type: ignore[index]


@pytest.mark.promise(4)
def test_who_opens_tasks_waits_with_who_asks_for_tokens(refusing_estate: Estate) -> None:
    door = AdmissionMiddleware(refusing_estate.app.wsgi_app, ConcurrencyLimiter(), {"acme"})
    of_agents = ("/t/acme/tasks", "/t/acme/tasks/x/cancel", "/t/acme/oauth/token")
    assert len({door.tenant_key_of(path) for path in of_agents}) == 1
    assert door.tenant_key_of("/t/rival/tasks")[0] != door.tenant_key_of("/t/acme/tasks")[0]
