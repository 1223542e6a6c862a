"""Whatever is sent, the answer is a problem that names the fault, and never a 500."""

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.admin.conftest import ADMIN_TOKEN, Admin

JSON = "application/json"
TENANT = b'{"slug": "new", "display_name": "New"}'


def send(
    platform: Admin, body: bytes, *, content_type: str | None = JSON, path: str = "/tenants", **headers: str
) -> TestResponse:
    return platform.http.post(
        f"/admin/v1{path}",
        data=body,
        content_type=content_type,
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}", **headers},
    )


def problem_of(answer: TestResponse, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.data)
    assert {"type", "title", "status", "detail", "code", "request_id"} <= problem.keys()
    assert (problem["status"], problem["request_id"]) == (status, answer.headers["X-Request-Id"])
    return problem


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"slug=new", id="a form"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16"),
        pytest.param(b'{"slug": "\xc3\x28"}', id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf" + TENANT, id="a byte order mark"),
        pytest.param(b'{"slug": "new", "slug": "other", "display_name": "New"}', id="a repeated member"),
        pytest.param(b'{"slug": "new", "display_name": "a\\u0000b"}', id="NUL"),
        pytest.param(b'{"slug": "new", "display_name": "\\ud800"}', id="half a character"),
        pytest.param(b'{"slug": "new", "\\ud800": 1}', id="half a character as a name"),
        pytest.param(b'{"slug": NaN}', id="NaN"),
        pytest.param(b'{"slug": 1e999}', id="infinity"),
        pytest.param(b'{"slug": 1' + b"0" * 5_000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b'{"slug": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", id="30,000 levels"),
        pytest.param(TENANT + TENANT, id="two documents"),
    ],
)
def test_what_is_not_one_json_object_of_one_meaning_is_refused(platform: Admin, body: bytes) -> None:
    problem_of(send(platform, body), 400)
    assert platform.get("/tenants")["items"] == []


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"slug": "Acme"}, "/slug"),
        ({"slug": "a" * 64}, "/slug"),
        ({"slug": "-a"}, "/slug"),
        ({"slug": "ä"}, "/slug"),
        ({"slug": "acme\n"}, "/slug"),
        ({"slug": ""}, "/slug"),
        ({"slug": None}, "/slug"),
        ({"slug": ["acme"]}, "/slug"),
        ({"slug": 7}, "/slug"),
        ({"display_name": ""}, "/display_name"),
        ({"display_name": " x"}, "/display_name"),
        ({"display_name": "x" * 201}, "/display_name"),
        ({"display_name": "a\tb"}, "/display_name"),
        ({"display_name": {"$ne": 1}}, "/display_name"),
        ({"state": "active"}, "/state"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"__proto__": {}}, "/__proto__"),
    ],
)
def test_a_member_with_one_fault_is_pointed_at(platform: Admin, changed: dict[str, Any], pointer: str) -> None:
    body = json.dumps({"slug": "new", "display_name": "New", **changed}).encode()
    assert problem_of(send(platform, body), 400)["errors"][0]["pointer"] == pointer


def test_every_fault_is_named_at_once(platform: Admin) -> None:
    problem = problem_of(send(platform, b'{"slug": 1, "more": 2}'), 400)
    assert {error["pointer"] for error in problem["errors"]} == {"/slug", "/display_name", "/more"}


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data"],
)
def test_another_media_type_is_415(platform: Admin, content_type: str | None) -> None:
    assert problem_of(send(platform, TENANT, content_type=content_type), 415)["code"] == "unsupported_media_type"


def test_a_compressed_body_is_415(platform: Admin) -> None:
    problem_of(send(platform, TENANT, **{"Content-Encoding": "gzip"}), 415)


def test_a_body_beyond_the_limit_is_413(platform: Admin) -> None:
    body = json.dumps({"slug": "new", "display_name": "x" * 200_000}).encode()
    assert problem_of(send(platform, body), 413)["code"] == "too_large"


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=", "limit=1&limit=2", "page=2", "after=x", "after=", "after=WyJ4Il0",
     "after=" + "A" * 2000, "after=%00", "limit=9999999999999999999999", "after=W10", "after=IltbIg"],
)  # fmt: skip
def test_a_query_with_one_fault_is_refused(acme: Admin, query: str) -> None:
    for path in ("/connections", "/events", "/cutoffs"):
        acme.get(f"{path}?{query}", 400)


def test_a_parameter_that_an_operation_does_not_know_is_refused(acme: Admin) -> None:
    acme.get("?verbose=1", 400)
    acme.get("/keys?limit=5", 400)


@pytest.mark.parametrize(
    "path",
    [
        "/tenants/nobody",
        "/tenants/Acme",
        "/tenants/acme%00",
        "/tenants/acme%2F..%2Frival",
        "/tenants/../tenants/acme",
        "/tenants/acme/",
        "/tenants/%ff",
        "/tenants/" + "a" * 3000,
        "/tenants/acme/connections/1",
        "/tenants/acme/connections/00000000-0000-0000-0000-000000000000",
        "/tenants/acme/connections/%2e%2e",
        "/tenants/acme/connections/018900000000-7000-8000-000000000000",
        "/tenants/acme/connections/01890000-0000-7000-8000-00000000000A",
        "/tenants/acme/principals/urn:uuid:01890000-0000-7000-8000-000000000000",
        "/tenants/acme/nothing",
        "/nothing",
        "/",
    ],
)
def test_what_is_not_there_is_one_404(acme: Admin, platform: Admin, path: str) -> None:
    answer = platform.http.get(f"/admin/v1{path}", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert problem_of(answer, 404)["code"] == "not_found"


def test_a_method_that_a_path_does_not_have_is_405_and_the_others_are_named(acme: Admin, platform: Admin) -> None:
    for method, path, allowed in [
        ("PUT", "/tenants", {"GET", "POST"}),
        ("DELETE", "/tenants/acme", {"GET", "PATCH"}),
        ("OPTIONS", "/tenants/acme/clients", {"GET", "POST"}),
    ]:
        answer = platform.ask(method, path)
        problem_of(answer, 405)
        assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("header", ["1", '"x"', '"1", "2"', '"' + "9" * 30 + '"'])
def test_if_match_is_one_version_of_ours(acme: Admin, header: str) -> None:
    made = acme.post("/connections", {"kind": "scim", "name": "entra"})
    problem = acme.patch(f"/connections/{made['id']}", {"name": "x"}, 400, **{"If-Match": header})
    assert problem["errors"][0]["pointer"] == "If-Match"


def test_every_refusal_is_in_the_trail_of_the_tenant_that_it_was_asked_of(acme: Admin, rival: Admin) -> None:
    acme.post("/clients", {"principal_id": "x"}, 400)
    acme.delete("/clients/01890000-0000-7000-8000-000000000000", 404)
    refused = acme.events(type="admin.refused")
    assert [(event["reason"], event["detail"]["endpoint"], event["outcome"]) for event in refused] == [
        ("invalid_value", "admin.register_client", "refused"),
        ("not_found", "admin.revoke_client", "refused"),
    ]
    assert rival.events(type="admin.refused") == []


def test_a_body_that_was_cut_short_changes_nothing(platform: Admin, acme: Admin) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    as_granian = {"CONTENT_LENGTH": "100", "wsgi.input_terminated": True}
    answer = platform.http.post(
        "/admin/v1/tenants", data=TENANT, content_type=JSON, headers=headers, environ_overrides=as_granian
    )
    assert problem_of(answer, 400)["code"] == "body_cut_short"
    headers["Transfer-Encoding"] = "chunked"
    answer = platform.http.post("/admin/v1/tenants/acme/keys/rotate", data=b"", content_type=JSON, headers=headers)
    assert problem_of(answer, 400)["code"] == "malformed_json"
    assert len(acme.get("/keys")["items"]) == 1
