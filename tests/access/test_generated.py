"""Every route, driven by what the application says of itself: never a fault, and every refusal in its own words."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.access.endpoint_matrix import Ask, Who
from tests.access.hostile import (
    HEADERS,
    SEGMENTS,
    TEXTS,
    a_bulk,
    a_patch,
    a_query,
    a_resource,
    a_search,
    an_instance,
    written,
)
from tests.access.owned_objects import Estate, basic, rows_of
from tests.access.test_bad_input import assert_error
from tests.oracles.making import Choose, chooser

pytestmark = pytest.mark.promise(9)

CHOOSING = st.binary(min_size=60, max_size=240).map(chooser)
ENDING = {"end_connection", "rotate_connection_token"}
"""What ends the credential with which the others are asked."""


def each_request(examples: int, ask: Callable[[Choose], tuple[TestResponse, Who]]) -> Counter[int]:
    """Ask so often; return how often each status was answered."""
    statuses: Counter[int] = Counter()

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(CHOOSING)
    def once(choose: Choose) -> None:
        answer, who = ask(choose)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500 or answer.status_code == 501, (answer.request.path, answer.text)
        if answer.status_code >= 400:
            assert_error(answer, who)

    once()
    return statuses


def with_a_header(choose: Choose, headers: dict[str, str]) -> dict[str, str]:
    return headers | dict([choose(HEADERS)]) if choose([False, False, False, True]) else headers


def sendable(asked: dict[str, Any]) -> dict[str, str]:
    """Return parameters that Werkzeug's client can put into a URL: half characters only survive in JSON."""
    return {name: str(value).encode("utf-8", "replace").decode() for name, value in asked.items()}


def test_scim_answers_whatever_is_made_from_its_schemas(sandbox: Estate) -> None:
    http, mine, base = sandbox.http, sandbox.mine, f"/t/{sandbox.mine['tenant']}/scim/v2"
    credential = Ask(Who.CONNECTION, "GET", base).credential(mine)
    schemas = {each["id"]: each for each in read(http.get(f"{base}/Schemas", headers=credential))["Resources"]}
    types = {
        each["endpoint"]: [schemas[urn] for urn in (each["schema"], *(e["schema"] for e in each["schemaExtensions"]))]
        for each in read(http.get(f"{base}/ResourceTypes", headers=credential))["Resources"]
    }
    ids = [mine[name] for name in ("sam", "kim", "group", "idle_bot", "account", "dana")]
    own = {"/Users": ids[:2], "/Groups": ids[2:3], "/Agents": ids[3:4], "/ServiceAccounts": ids[4:5]}
    before = rows_of(sandbox.owner_url, "rival")

    def ask(choose: Choose) -> tuple[TestResponse, Who]:
        endpoint = choose(list(types))
        one = f"{endpoint}/{choose([*own.get(endpoint, ids) * 30, *SEGMENTS, *ids])}"
        method, path, make = choose([
            ("POST", endpoint, lambda: a_resource(choose, types[endpoint], ids)),
            ("POST", endpoint, lambda: a_resource(choose, types[endpoint], ids)),
            ("PUT", one, lambda: a_resource(choose, types[endpoint], ids)),
            ("PATCH", one, lambda: a_patch(choose, types[endpoint], ids)),
            ("PATCH", one, lambda: a_patch(choose, types[endpoint], ids)),
            ("POST", "/Bulk", lambda: a_bulk(choose, types, ids)),
            ("POST", f"{endpoint}/.search", lambda: a_search(choose)),
            ("POST", "/.search", lambda: a_search(choose)),
            ("GET", endpoint, None), ("GET", endpoint, None), ("GET", one, None), ("DELETE", f"{one}x", None),
            ("GET", f"/Schemas/{choose(SEGMENTS)}", None),
            (choose(["GET", "PUT", "PATCH", "POST"]), choose(["/Me", "/Schemas", "/x", "/Bulk/x", one]), None),
        ])  # fmt: skip
        answer = http.open(
            f"{base}{path}",
            method=method,
            query_string=sendable(a_query(choose)) if choose([False, False, make is None, True]) else {},
            data=None if make is None else written(make()),
            headers=with_a_header(choose, credential | {"Content-Type": "application/scim+json"}),
        )
        return answer, Who.CONNECTION

    statuses = each_request(700, ask)
    assert statuses[200] > 40, statuses
    assert statuses[201] > 5, statuses
    assert statuses[400] > 100, statuses
    assert statuses[401] == 0, statuses
    assert rows_of(sandbox.owner_url, "rival") == before


def read(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    return json.loads(answer.data)


def test_the_admin_api_answers_whatever_is_made_from_its_document(sandbox: Estate) -> None:
    http, mine = sandbox.http, sandbox.mine
    document = read(http.get("/admin/v1/openapi.json"))
    operations = [(method.upper(), path, operation) for path, methods in document["paths"].items()
                  for method, operation in methods.items() if operation["operationId"] not in ENDING]  # fmt: skip
    credential = Ask(Who.ADMINISTRATOR, "GET", "/").credential(mine)
    ids = [mine[name] for name in ("sam", "kim", "bot", "group", "audience", "connection", "oidc", "client")]
    named = {"tenant": ["tenant"], "client_id": ["client", "idle_client", "signing_client"], "kid": ["client_kid"],
             "connection_id": ["connection", "oidc"], "delegation_id": ["delegation"], "txn": ["txn"],
             "principal_id": ["sam", "bot", "lee"], "outbox_id": ["outbox"], "resource_id": ["resource"],
             "pair_id": ["pair"]}  # fmt: skip
    before = rows_of(sandbox.owner_url, "rival")

    def ask(choose: Choose) -> tuple[TestResponse, Who]:
        method, path, operation = choose(operations)
        query: dict[str, Any] = {}
        for parameter in operation.get("parameters", ()):
            name = parameter["name"]
            if parameter["in"] == "path":
                right = [mine[each] for each in named.get(name, ["sam"])]
                path = path.replace(f"{{{name}}}", choose([*right * 4, choose(SEGMENTS)]))
            elif parameter["in"] == "query" and choose([False, True]):
                query[name] = choose([*TEXTS, *ids])
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        answer = http.open(
            path,
            method=method,
            query_string=sendable(query),
            data=None if body is None else written(an_instance(choose, body, document, ids)),
            headers=with_a_header(choose, credential | {"Content-Type": "application/json"}),
        )
        return answer, Who.ADMINISTRATOR

    statuses = each_request(900, ask)  # of a hundred operations, some of which make something
    assert statuses[200] > 20, statuses
    assert statuses[201] > 3, statuses
    assert statuses[400] > 60, statuses
    assert statuses[401] == 0, statuses
    assert rows_of(sandbox.owner_url, "rival") == before


GRANTS = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "authorization_code", "x"]
TOKEN_TYPES = [f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("access_token", "id_token", "jwt", "x")]


def test_the_token_service_answers_whatever_is_sent(sandbox: Estate) -> None:
    http, mine = sandbox.http, sandbox.mine
    tokens = [mine[name] for name in ("id_token", "task_token", "own_token", "idle_token")]
    right = {
        "grant_type": GRANTS, "subject_token": tokens, "actor_token": tokens, "token": tokens,
        "subject_token_type": TOKEN_TYPES, "actor_token_type": TOKEN_TYPES, "requested_token_type": TOKEN_TYPES,
        "resource": [mine["audience"]], "scope": ["read", "read pay"], "token_type_hint": ["access_token"],
        "authorization_details": ['[{"type": "invoice"}]', "[" * 99, "[{}]", '[{"type": "\\u0000"}]', "9" * 5_000],
        "audience": [mine["audience"]], "client_id": [mine["client"]], "purpose": ["x"], "lifetime_s": ["60", "-1"],
        "client_assertion": tokens, "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
    }  # fmt: skip

    def ask(choose: Choose) -> tuple[TestResponse, Who]:
        endpoint, client = (
            choose(["token", "token", "introspect", "revoke"]),
            choose(["client", "idle_client", "erp_client"]),
        )
        wanted = {"token": ["grant_type", "subject_token"], "introspect": ["token"], "revoke": ["token"]}[endpoint]
        names = [name for name in right if name in wanted or choose([False, False, True])]
        form = {name: choose([*right[name] * 4, choose(TEXTS)]) for name in names}
        headers = {"Authorization": basic(mine[client], mine[f"{client}_secret"])}
        if choose([False] * 19 + [True]):
            form["client_secret"] = choose([mine[f"{client}_secret"], *TEXTS])
        answer = http.post(f"/t/{mine['tenant']}/oauth/{endpoint}", data=sendable(form), headers=headers)
        return answer, Who.CLIENT

    statuses = each_request(300, ask)
    assert statuses[200] > 20, statuses
    assert statuses[400] > 60, statuses


def test_the_authorization_endpoint_refuses_whatever_is_sent(sandbox: Estate) -> None:
    http, mine = sandbox.http, sandbox.mine
    right = {
        "response_type": ["code", "token", "none", "code id_token"], "client_id": [mine["client"]],
        "redirect_uri": ["https://elsewhere.example/callback"], "scope": ["read", "openid"], "state": ["x"],
        "resource": [mine["audience"]], "code_challenge": ["x" * 43], "request": [mine["id_token"]],
        "response_mode": ["query", "form_post"], "prompt": ["none"],
    }  # fmt: skip

    def ask(choose: Choose) -> tuple[TestResponse, Who]:
        sent = {name: choose([*right[name] * 4, choose(TEXTS)]) for name in right if choose([False, True])}
        method = choose(["GET", "POST", "HEAD"])
        where = {"data": sendable(sent)} if method == "POST" else {"query_string": sendable(sent)}
        headers = with_a_header(choose, {})
        answer = http.open(f"/t/{mine['tenant']}/oauth/authorize", method=method, headers=headers, **where)
        assert "Location" not in answer.headers
        return answer, Who.CLIENT

    statuses = each_request(200, ask)
    assert statuses[400] > 150, statuses
    assert statuses[200] == statuses[302] == statuses[303] == 0, statuses
