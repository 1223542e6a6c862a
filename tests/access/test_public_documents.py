"""Scripts of every origin may read public documents (CORS, in the Fetch standard), and nothing else of the product."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from identity.admin.routes import NOTHING_HERE
from tests.access.endpoint_matrix import ASKS, DOCUMENTS, Ask
from tests.access.owned_objects import Estate
from tests.access.test_walls import ask, route_of

SCRIPT = {"Origin": "https://app.example"}
PREFLIGHT = SCRIPT | {
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "mcp-protocol-version",
}
OTHERS = [one for one in ASKS if one not in DOCUMENTS]


def cors_of(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


def preflight(sandbox: Estate, one: Ask) -> TestResponse:
    return sandbox.http.options(one.filled(sandbox.mine)["path"], headers=PREFLIGHT)


@pytest.mark.parametrize("one", DOCUMENTS, ids=str)
def test_a_public_document_may_be_read_by_a_script_of_any_origin_without_credentials(
    refusing_estate: Estate, one: Ask
) -> None:
    to_script = ask(refusing_estate, one, refusing_estate.mine, SCRIPT)
    assert to_script.status_code == 200
    assert cors_of(to_script) == {"Access-Control-Allow-Origin": "*"}
    to_program = ask(refusing_estate, one, refusing_estate.mine, {})
    assert cors_of(to_program) == cors_of(to_script), "a cache gives one answer to both"
    assert to_program.data == to_script.data


@pytest.mark.parametrize("one", DOCUMENTS, ids=str)
def test_a_preflight_of_a_public_document_allows_reading_it_with_any_header_but_a_credential(
    refusing_estate: Estate, one: Ask
) -> None:
    answer = preflight(refusing_estate, one)
    assert (answer.status_code, answer.data) == (204, b"")
    assert cors_of(answer) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Allow-Headers": "*",  # which does not cover Authorization
        "Access-Control-Max-Age": "3600",
    }


@pytest.mark.parametrize("one", [one for one in DOCUMENTS if "{tenant}" in one.path], ids=str)
def test_a_script_may_read_that_there_is_no_such_document(refusing_estate: Estate, one: Ask) -> None:
    answer = ask(refusing_estate, one, refusing_estate.mine | {"tenant": "nobody"}, SCRIPT)
    assert answer.status_code == 404
    assert cors_of(answer) == {"Access-Control-Allow-Origin": "*"}


@pytest.mark.parametrize("one", DOCUMENTS, ids=str)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_public_document_is_read_and_nothing_else(refusing_estate: Estate, one: Ask, method: str) -> None:
    answer = refusing_estate.http.open(one.filled(refusing_estate.mine)["path"], method=method, headers=SCRIPT)
    assert answer.status_code in (401, 405)
    assert cors_of(answer) == {}


@pytest.mark.parametrize("one", OTHERS, ids=str)
def test_no_other_route_tells_anything_to_a_script_of_another_origin(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    assert cors_of(ask(sandbox, one, sandbox.mine, SCRIPT)) == {}
    if not one.changes:
        assert cors_of(ask(sandbox, one, sandbox.mine, SCRIPT | one.credential(sandbox.mine))) == {}
    answer = preflight(sandbox, one)
    assert answer.status_code in (401, 404, 405)
    assert cors_of(answer) == {}


def test_the_routes_with_a_preflight_are_those_of_the_public_documents(refusing_estate: Estate) -> None:
    app: Flask = refusing_estate.app
    with_preflight = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if "OPTIONS" in (rule.methods or set()) and rule.endpoint != f"admin.{NOTHING_HERE}"
    }
    assert with_preflight == {route_of(app, one, refusing_estate.mine)[0] for one in DOCUMENTS}
