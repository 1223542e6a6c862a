"""A tenant is a wall: not yours and not there are the same answer, on every route that the application has."""

import re
from collections.abc import Iterable, Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.access.endpoint_matrix import ASKS, GUARDED, NAMING, Ask, Who
from tests.access.owned_objects import ADMIN_TOKEN, Belongings, Estate, basic
from tests.fixtures import claims_in

FRESH = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}|new-[0-9]{6}|2026-11-24T09:[0-9:.]+Z|\"duration_ms\":\d+"
)
PER_REQUEST = ("X-Request-Id", "Content-Length")

pytestmark = pytest.mark.promise(4)


def ask(sandbox: Estate, one: Ask, has: Belongings, headers: dict[str, str]) -> TestResponse:
    return sandbox.http.open(**one.filled(has), headers=headers)


def told(answer: TestResponse, *sent: str) -> tuple[int, list[tuple[str, str]], str]:
    """Return all that an answer tells, but for what is new in each and what was sent with the request."""
    text, own = answer.text, answer.headers["X-Request-Id"]
    for value in (own, *sent, *issuers_in(sent)):
        text = text.replace(value, "<it>")
    headers = [(name, FRESH.sub("<new>", value)) for name, value in answer.headers if name not in PER_REQUEST]
    return answer.status_code, sorted(headers), FRESH.sub("<new>", text)


def issuers_in(sent: Iterable[str]) -> Iterator[str]:
    """Return what tokens among the values that were sent say of their issuers: a refusal may repeat it."""
    for value in sent:
        if value.count(".") == 2 and value.startswith("eyJ"):
            yield claims_in(value)["iss"]


def routes_of(app: Flask) -> set[tuple[str, str]]:
    """Return every rule and method; HEAD follows GET, and an automatic OPTIONS only names methods."""
    silent = {"HEAD", "OPTIONS"}
    return {(rule.rule, method) for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - silent}


def route_of(app: Flask, one: Ask, has: Belongings) -> tuple[str, str]:
    path = one.filled(has)["path"]
    rule, _ = app.url_map.bind("localhost").match(path, method=one.method, return_rule=True)
    return rule.rule, one.method


@pytest.mark.requirement("S20")
def test_every_route_is_classified(refusing_estate: Estate) -> None:
    app = refusing_estate.app
    asked = {route_of(app, one, refusing_estate.mine) for one in ASKS}
    unclassified = sorted(routes_of(app) - asked)
    assert not unclassified, (
        f"nobody has said who may ask these; add a request for each to tests/access/endpoint_matrix.py: {unclassified}"
    )


@pytest.mark.parametrize("one", [one for one in ASKS if one.changes], ids=str)
def test_with_the_right_credential_and_ones_own_ids_it_is_done(sandbox: Estate, one: Ask) -> None:
    answer = ask(sandbox, one, sandbox.mine, one.credential(sandbox.mine))
    assert answer.status_code == one.status, answer.text


@pytest.mark.parametrize("one", [one for one in ASKS if not one.changes], ids=str)
def test_with_the_right_credential_and_ones_own_ids_it_is_told(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    answer = ask(sandbox, one, sandbox.mine, one.credential(sandbox.mine))
    assert answer.status_code == one.status, answer.text


@pytest.mark.parametrize("one", [one for one in GUARDED if one.who is Who.CONNECTION and not one.changes], ids=str)
def test_a_token_of_the_connections_client_is_told_the_same(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    by_connection = ask(sandbox, one, sandbox.mine, one.credential(sandbox.mine))
    by_client = ask(sandbox, one, sandbox.mine, {"Authorization": f"Bearer {sandbox.mine['access_token']}"})
    assert told(by_client) == told(by_connection)


@pytest.mark.requirement("S20")
@pytest.mark.rfc("7644", "2", "2-1")
@pytest.mark.parametrize("one", GUARDED, ids=str)
def test_without_a_credential_nothing_is_told_and_nothing_changes(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    assert ask(sandbox, one, sandbox.mine, {}).status_code == 401
    assert ask(sandbox, one, sandbox.mine, {"Authorization": "Bearer"}).status_code == 401


def credentials_of(has: Belongings) -> dict[str, str]:
    """Return every credential of a tenant, as the Authorization header of a request."""
    tokens = {
        name: f"Bearer {has[name]}" for name in ("scim_token", "access_token", "task_token", "own_token", "id_token")
    }
    clients = {name: basic(has[name], has[f"{name}_secret"]) for name in ("client", "erp_client", "scim_client")}
    return tokens | clients | {"a client without its secret": basic(has["client"], "idf_client_x")}


@pytest.mark.parametrize("one", GUARDED, ids=str)
def test_the_other_tenants_credential_is_as_good_as_one_that_exists_nowhere(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    rivals, nobodys = credentials_of(sandbox.rivals), credentials_of(sandbox.nowhere)
    for name, credential in rivals.items():
        refused = ask(sandbox, one, sandbox.mine, {"Authorization": credential})
        unknown = ask(sandbox, one, sandbox.mine, {"Authorization": nobodys[name]})
        assert refused.status_code == 401, name
        assert told(refused) == told(unknown), name


@pytest.mark.requirement("S11")
@pytest.mark.parametrize("one", [one for one in GUARDED if one.who is not Who.ADMINISTRATOR], ids=str)
def test_a_credential_is_good_in_its_own_tenant_alone(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    for has in (sandbox.mine, sandbox.rivals):
        there = has | {"tenant": "rival"}
        mine = ask(sandbox, one, there, one.credential(sandbox.mine))
        nobodys = ask(sandbox, one, there, one.credential(sandbox.nowhere))
        assert mine.status_code == 401
        assert told(mine) == told(nobodys)
    nobody = ask(sandbox, one, sandbox.mine | {"tenant": "nobody"}, one.credential(sandbox.mine))
    assert nobody.status_code == 404


@pytest.mark.parametrize("one", NAMING, ids=str)
def test_not_yours_and_not_there_are_the_same_answer(asking_estate: Estate, one: Ask) -> None:
    sandbox = asking_estate
    for name in one.names:
        answers = []
        for theirs in (sandbox.rivals, sandbox.nowhere):
            asked = sandbox.mine | {name: theirs[name]}
            answer = ask(sandbox, one, asked, one.credential(sandbox.mine))
            answers.append(told(answer, theirs[name]))
            assert_nothing_of(sandbox.rivals, answer, besides=theirs[name])
        assert answers[0] == answers[1], name
        assert answers[0][0] != 500


@pytest.mark.parametrize("one", [one for one in NAMING if one.who is Who.ADMINISTRATOR], ids=str)
def test_an_administrator_finds_nothing_of_one_tenant_in_another(refusing_estate: Estate, one: Ask) -> None:
    sandbox = refusing_estate
    mine = ask(sandbox, one, sandbox.mine | {"tenant": "rival"}, one.credential({}))
    assert_nothing_of(sandbox.mine, mine, besides="")
    if one.method == "GET":
        nowhere = ask(sandbox, one, sandbox.nowhere | {"tenant": "rival"}, one.credential({}))
        assert told(mine) == told(nowhere)
    else:
        assert mine.status_code in (400, 404), mine.text


def assert_nothing_of(has: Belongings, answer: TestResponse, besides: str) -> None:
    """No name of the other tenant's belongings is in an answer, but for the one that was asked about."""
    asked_about = {besides, *issuers_in([besides])}
    others = [name for name, value in has.items() if name != "tenant" and value not in asked_about]
    seen = [name for name in others if has[name] in answer.text]
    assert not seen, (seen, answer.text)
    assert ADMIN_TOKEN not in answer.text
