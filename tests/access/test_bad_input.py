"""Whatever is sent, the answer is the protocol's own error, never a fault of ours, and nothing changes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.access.endpoint_matrix import ASKS, GUARDED, Ask, Who
from tests.access.owned_objects import ADMIN_TOKEN, Estate, basic

SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
OAUTH_ERRORS = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_target", "unauthorized_client",
     "unsupported_grant_type", "unsupported_response_type", "invalid_authorization_details", "temporarily_unavailable",
     "invalid_token", "access_denied"}
)  # fmt: skip
TRACES = ("Traceback", 'File "', "psycopg", "sqlalchemy", "werkzeug", "SELECT ", "/identity/", ".py")

pytestmark = pytest.mark.promise(9)

ONE_PER_ROUTE = list({(one.method, one.path, one.client): one for one in ASKS}.values())
ONE_PER_KIND = list({(one.who, one.method, one.status): one for one in ASKS}.values())
WITH_JSON = [one for one in ONE_PER_ROUTE if isinstance(one.body, dict) and one.status < 300]
WITH_FORM = [one for one in GUARDED if one.form is not None]


def assert_error(answer: TestResponse, who: Who, *statuses: int) -> None:
    """The answer is a well-formed error of its surface, tells nothing of our inside, and is not stored by anybody."""
    told = (answer.request.method, answer.request.path[:100], answer.status_code, answer.text[:300])
    assert answer.status_code in (statuses or (*range(400, 500), 501)), told
    assert not any(trace in answer.text for trace in TRACES), told
    assert answer.headers["Cache-Control"] == "no-store", told
    assert answer.headers["X-Request-Id"]
    if answer.request.method == "HEAD":
        assert answer.data == b""
        return
    body = json.loads(answer.data)
    match who:
        case Who.CONNECTION:
            assert answer.content_type == "application/scim+json", told
            assert body["schemas"] == [SCIM_ERROR], told
            assert body["status"] == str(answer.status_code), told
            assert body["detail"], told
        case Who.CLIENT | Who.AGENT if answer.status_code == 405:
            assert answer.content_type == "application/problem+json", told  # no method of the protocol was called
        case Who.CLIENT | Who.AGENT:
            assert answer.content_type == "application/json", told
            assert body["error"] in OAUTH_ERRORS, told
            assert body["error_description"].isascii(), told
        case Who.ADMINISTRATOR:
            assert answer.content_type == "application/problem+json", told
            assert {"type", "title", "detail", "code", "request_id"} <= body.keys(), told
            assert body["status"] == answer.status_code, told
        case Who.ANYBODY:
            assert answer.content_type in ("application/problem+json", "application/json"), told


def send(sandbox: Estate, one: Ask, **changed: Any) -> TestResponse:
    """Ask with the right credential, but for what is changed."""
    asked = one.filled(sandbox.mine) | changed
    asked["headers"] = one.credential(sandbox.mine) | changed.get("headers", {})
    if "data" in changed:
        asked.pop("json", None)
    return sandbox.http.open(**asked)


def nested(depth: int) -> bytes:
    return b'{"displayName": ' + b"[" * depth + b"]" * depth + b"}"


JSON_FAULTS: dict[str, tuple[bytes, str, dict[str, str]]] = {
    "cut off": (b'{"displayName": "x', "application/json", {}),
    "empty": (b"", "application/json", {}),
    "only blanks": (b"  \n", "application/json", {}),
    "an array": (b"[]", "application/json", {}),
    "a number": (b"1", "application/json", {}),
    "null": (b"null", "application/json", {}),
    "a name twice": (b'{"displayName": "a", "displayName": "b"}', "application/json", {}),
    "a name twice, deeper": (b'{"name": {"a": 1, "a": 2}}', "application/json", {}),
    "two documents": (b"{}{}", "application/json", {}),
    "40 levels": (nested(40), "application/json", {}),
    "30,000 levels": (nested(30_000), "application/json", {}),
    "half a character": (b'{"displayName": "\\ud800"}', "application/json", {}),
    "half a character in a name": (b'{"\\udfff": 1}', "application/json", {}),
    "NUL": (b'{"displayName": "a\\u0000b"}', "application/json", {}),
    "a raw control character": (b'{"displayName": "a\x01b"}', "application/json", {}),
    "not UTF-8": (b'{"displayName": "\xff"}', "application/json", {}),
    "UTF-16": ('{"displayName": "x"}'.encode("utf-16"), "application/json", {}),
    "a byte order mark": (b'\xef\xbb\xbf{"displayName": "x"}', "application/json", {}),
    "beyond 64 bits": (b'{"displayName": 9223372036854775808}', "application/json", {}),
    "below 64 bits": (b'{"displayName": -9223372036854775809}', "application/json", {}),
    "10,000 digits": (b'{"displayName": ' + b"9" * 10_000 + b"}", "application/json", {}),
    "beyond any float": (b'{"displayName": 1e999}', "application/json", {}),
    "NaN": (b'{"displayName": NaN}', "application/json", {}),
    "infinity": (b'{"displayName": -Infinity}', "application/json", {}),
    "XML": (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>', "text/xml", {}),
    "a form": (b"displayName=x", "application/x-www-form-urlencoded", {}),
    "files": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", {}),
    "another media type": (b"{}", "text/plain", {}),
    "a broken media type": (b"{}", "application/", {}),
    "a media type that is not ASCII": (b"{}", "application/j\xe9son", {}),
    "compressed": (b"\x1f\x8b\x08\x00", "application/json", {"Content-Encoding": "gzip"}),
    "oversize": (b'{"displayName": "' + b"x" * 1_048_576 + b'"}', "application/json", {}),
}
OVERSIZE = "oversize"


@pytest.mark.rfc("7644", "3.2", "3.2-4", "3.2-5")
@pytest.mark.rfc("7644", "3.12", "3.12-1", "3.12-2")
@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_a_body_that_is_not_one_json_object_is_refused_everywhere(refusing_estate: Estate, fault: str) -> None:
    body, content_type, headers = JSON_FAULTS[fault]
    for one in WITH_JSON:
        if fault == "empty" and one.who in (Who.ADMINISTRATOR, Who.AGENT):
            continue  # no body is an empty object there
        answer = send(refusing_estate, one, data=body, content_type=content_type, headers=headers)
        assert_error(answer, one.who, *((413,) if fault == OVERSIZE else (400, 415)))


def test_a_body_longer_or_shorter_than_it_says_is_refused_everywhere(refusing_estate: Estate) -> None:
    for one in [*WITH_JSON, *WITH_FORM]:
        type_ = "application/json" if one.form is None else "application/x-www-form-urlencoded"
        for length in ("100", "99999999999999999999"):
            terminated = {"CONTENT_LENGTH": length, "wsgi.input_terminated": True}
            answer = send(refusing_estate, one, data=b"{}", content_type=type_, environ_overrides=terminated)
            assert_error(answer, one.who, 400, 413)


VALUES: list[Any] = [None, True, 0, 2**63 - 1, "", "x" * 5_000, [None], {}, "\x7f"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_no_value_of_any_member_is_a_fault_of_ours(sandbox: Estate, value: Any) -> None:
    for one in WITH_JSON:
        for member in [*one.body, "unknown"]:
            answer = send(sandbox, one, json=one.filled(sandbox.mine)["json"] | {member: value})
            if answer.status_code >= 300:
                assert_error(answer, one.who)


FORM_FAULTS: dict[str, tuple[bytes, str, int]] = {
    "empty": (b"", "application/x-www-form-urlencoded", 400),
    "JSON": (b'{"grant_type": "client_credentials"}', "application/json", 400),
    "files": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400),
    "no media type": (b"grant_type=client_credentials", "", 400),
    "a repeated parameter": (b"token=a&token=b&grant_type=a&grant_type=a", "application/x-www-form-urlencoded", 400),
    "a repeated parameter that is not known": (b"x=1&x=1&token=a", "application/x-www-form-urlencoded", 400),
    "51 parameters": (b"&".join(b"p%d=1" % n for n in range(51)), "application/x-www-form-urlencoded", 400),
    "not UTF-8": (b"token=%ff&grant_type=%ff", "application/x-www-form-urlencoded", 400),
    "not UTF-8, raw": (b"token=\xff&grant_type=\xff", "application/x-www-form-urlencoded", 400),
    "NUL": (b"token=a%00b&grant_type=a%00b", "application/x-www-form-urlencoded", 400),
    "half a character": (b"token=%ed%a0%80&grant_type=%ed%a0%80", "application/x-www-form-urlencoded", 400),
    "a percent sign alone": (b"grant_type=%", "application/x-www-form-urlencoded", 400),
    "oversize": (b"token=" + b"x" * 65_536, "application/x-www-form-urlencoded", 413),
    "a grant type that is not known": (b"grant_type=password", "application/x-www-form-urlencoded", 400),
}


@pytest.mark.parametrize("fault", FORM_FAULTS)
def test_a_form_with_one_fault_is_refused_everywhere(refusing_estate: Estate, fault: str) -> None:
    body, content_type, status = FORM_FAULTS[fault]
    for one in WITH_FORM:
        if fault.startswith(("a percent", "a grant type")) and not one.path.endswith("/token"):
            continue
        assert_error(send(refusing_estate, one, data=body, content_type=content_type), one.who, status)


def test_a_token_service_takes_no_parameter_from_the_url(refusing_estate: Estate) -> None:
    for one in WITH_FORM:
        assert_error(send(refusing_estate, one, query_string="scope=read"), one.who, 400)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "A" * 50_000}, "invalid_scope"),
        ({"scope": " ".join(f"s{n}" for n in range(51))}, "invalid_scope"),
        ({"scope": "read read"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"scope": "é"}, "invalid_scope"),
        ({"resource": "é"}, "invalid_target"),
        ({"resource": "https://erp.example#x"}, "invalid_target"),
        ({"resource": "x" * 10_000}, "invalid_target"),
        ({"authorization_details": "["}, "invalid_authorization_details"),
        ({"authorization_details": "[" * 5_000 + "]" * 5_000}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type": 9223372036854775808}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type": "a", "type": "b"}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type": "\\u0000"}]'}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type": "\\ud800"}]'}, "invalid_authorization_details"),
        ({"authorization_details": "null"}, "invalid_authorization_details"),
        ({"subject_token": "x"}, "invalid_request"),
        ({"subject_token": "a.b.c"}, "invalid_request"),
        ({"subject_token": "é.é.é"}, "invalid_request"),
        ({"subject_token": "x" * 60_000}, "invalid_request"),
        ({"subject_token": "."}, "invalid_request"),
        ({"subject_token": "e30.e30.e30"}, "invalid_request"),
        ({"subject_token": "bnVsbA.bnVsbA.bnVsbA"}, "invalid_request"),
        ({"subject_token": "W10.W10.W10"}, "invalid_request"),
        ({"subject_token_type": "x"}, "invalid_request"),
        ({"actor_token": "x", "actor_token_type": "x"}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"requested_token_type": "x"}, "invalid_request"),
        ({"grant_type": "x"}, "unsupported_grant_type"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_parameter_with_one_fault_is_refused_by_its_own_error(
    refusing_estate: Estate, changed: dict[str, str], error: str
) -> None:
    [one] = [one for one in WITH_FORM if "id_token" in (one.form or {}).get("subject_token_type", "")]
    asked = one.filled(refusing_estate.mine)["data"] | changed
    answer = send(refusing_estate, one, data=asked)
    assert_error(answer, one.who, 400)
    assert answer.json["error"] == error, answer.text


def secrets_of(one: Ask) -> Iterator[str]:
    """Return credentials that are no credentials, as the header that carries them."""
    if one.who is Who.CLIENT:
        for secret in ("", "é", "\ud7ff", "\0", "x" * 5_000, "%ff", "%00", "+%2B:"):
            yield basic("01890000-0000-7000-8000-000000000000", secret)
            yield basic(secret, secret)
        yield from ("Basic", "Basic ", "Basic é", "Basic !!!!", "Basic eA==", "Basic /////w==", "Basic Og==")
    yield from (
        "Bearer",
        "Bearer ",
        "Bearer é",
        "Bearer \xff\xfe",
        "Bearer a b",
        "Bearer " + "x" * 5_000,
        "Negotiate x",
    )
    yield from ("Digest username=x", "Bearer\tx", "x", "", "Bearer {}", "bearer x", f"Basic {ADMIN_TOKEN}")


def test_a_malformed_or_strange_credential_is_401_everywhere(refusing_estate: Estate) -> None:
    for one in ONE_PER_KIND:
        for header in secrets_of(one):
            if one.who is Who.ANYBODY:
                continue
            answer = send(refusing_estate, one, headers={"Authorization": header})
            assert_error(answer, one.who, 401)
            is_basic = header.partition(" ")[0].lower() == "basic"
            expected = "Bearer" if one.who is not Who.CLIENT else "Basic" if is_basic else ""  # RFC 6749 §5.2
            assert answer.headers.get("WWW-Authenticate", "").partition(" ")[0] == expected, (one, header)


@pytest.mark.parametrize(
    "slug", ["nobody", "Acme", "acme%00", "acme%0a", "%ff", "a" * 64, "a" * 5_000, "-", "acme.", "é", "acme%20", "%20",
             "00000000-0000-0000-0000-000000000000", "platform", "'", "%25", "..."]
)  # fmt: skip
def test_an_unknown_tenant_is_404_everywhere(refusing_estate: Estate, slug: str) -> None:
    for one in ONE_PER_ROUTE:
        if "{tenant}" in one.path:
            path = one.filled(refusing_estate.mine)["path"].replace("/acme", f"/{slug}", 1)
            assert_error(send(refusing_estate, one, path=path), one.who, 404)


IDS = ["1", "%00", "a" * 5_000, "%ff", "é", "..", "%2e%2e", "%20", "'", "{}", "00000000-0000-0000-0000-000000000000",
       "01890000-0000-7000-8000-00000000000G", "01890000000070008000000000000000",
       "urn:x", "-1", "%F0%9F%98%80"]  # fmt: skip


@pytest.mark.parametrize("spelled", IDS, ids=lambda text: text[:40])
def test_an_id_that_is_none_is_not_there_everywhere(refusing_estate: Estate, spelled: str) -> None:
    for one in GUARDED:
        for name in one.names:
            if f"{{{name}}}" in one.path:
                path = one.path.replace(f"{{{name}}}", spelled)
                asked = Ask(one.who, one.method, path).filled(refusing_estate.mine)["path"]
                assert_error(send(refusing_estate, one, path=asked), one.who, 404, 405)


QUERIES = ["filter=", "filter=(", "filter=" + "(" * 3_000, "filter=userName%20eq%20%22%00%22", "filter=%ff", "count=x",
           "startIndex=99999999999999999999", "count=-9223372036854775809", "attributes=%00",
           "attributes=" + "a," * 200,
           "sortBy=x%00", "limit=99999999999999999999", "after=%00", "after=%ff", "limit=1&limit=2", "=", "&&&", "%",
           "filter=userName%20eq%20%22%ed%a0%80%22", "count=1&count=2", "filter=a&filter=b", "limit=%D9%A1",
           "x=" * 2_000,
           "kind=%00", "type=%00", "name=%00", "principal=%00", "txn=x", "state=x"]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=lambda text: text[:40])
def test_no_query_is_a_fault_of_ours(refusing_estate: Estate, query: str) -> None:
    for one in ONE_PER_ROUTE:
        if one.method == "GET" and one.status == 200 and one.who is not Who.ANYBODY:
            answer = send(refusing_estate, one, query_string=query)
            if answer.status_code >= 300:
                assert_error(answer, one.who)


# Those that steer a write, and those that only come along.
STEERING = [("If-Match", "x"), ("If-Match", '"' + "9" * 40 + '"'), ("If-Match", "\xff"), ("Idempotency-Key", ""),
            ("Idempotency-Key", "\xff"), ("Idempotency-Key", "x" * 300), ("Content-Length", "x"),
            ("Content-Length", "-1"), ("Content-Type", "\xff"), ("Transfer-Encoding", "x"),
            ("Expect", "x")]  # fmt: skip
PASSING = [("If-None-Match", "\xff"), ("X-Request-Id", "\xff"), ("X-Request-Id", "a\tb"),
           ("X-Request-Id", "x" * 9_000),
           ("Accept", "\xff"), ("Accept", "image/png"), ("Cookie", "\xff"), ("Accept-Language", "\xff"),
           ("If-Modified-Since", "x"), ("Range", "bytes=9-1"), ("Host", "x/../y"), ("Host", "é"),
           ("Host", "")]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), STEERING, ids=lambda text: text[:20])
def test_no_header_that_steers_a_write_is_a_fault_of_ours(sandbox: Estate, name: str, value: str) -> None:
    for one in ONE_PER_KIND:
        answer = send(sandbox, one, headers={name: value})
        if answer.status_code >= 300 and answer.status_code != one.status:
            assert_error(answer, one.who)


@pytest.mark.parametrize(("name", "value"), PASSING, ids=lambda text: text[:20])
def test_no_header_that_comes_along_is_a_fault_of_ours(refusing_estate: Estate, name: str, value: str) -> None:
    for one in ONE_PER_KIND:
        if not one.changes:
            answer = send(refusing_estate, one, headers={name: value})
            if answer.status_code != one.status:
                assert_error(answer, one.who)
            assert answer.headers["X-Request-Id"].isascii()


METHODS = ["HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 200, "PUT", "PATCH", "DELETE", "POST", "GET"]


@pytest.mark.parametrize("method", METHODS, ids=lambda text: text[:20])
def test_a_method_that_a_path_does_not_have_is_refused_in_its_own_words(sandbox: Estate, method: str) -> None:
    for one in ONE_PER_ROUTE:
        answer = send(sandbox, one, method=method)
        if answer.status_code == 405:
            allowed = answer.headers["Allow"].split(", ")
            assert method not in allowed, (method, one, allowed)
        if answer.status_code >= 300:
            assert_error(answer, one.who)
        if method == "OPTIONS" and answer.status_code < 300:
            assert answer.data == b""


@pytest.mark.rfc("7644", "3.12", "3.12-1", "3.12-2")
@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/t/acme/scim/v2/Nothing", Who.CONNECTION),
        ("/t/acme/scim/v2/Nothing/x/y", Who.CONNECTION),
        ("/t/acme/scim/v2/Users/x/y", Who.CONNECTION),
        ("/t/acme/scim/v2/Users/", Who.CONNECTION),
        ("/t/acme/oauth/nothing", Who.ANYBODY),
        ("/t/acme/oauth/token", Who.ANYBODY),
        ("/t/acme/oauth", Who.ANYBODY),
        ("/t/acme", Who.ANYBODY),
        ("/t/", Who.ANYBODY),
        ("/static/x", Who.ANYBODY),
        ("/admin/v1", Who.ADMINISTRATOR),
        ("/admin/v1/", Who.ADMINISTRATOR),
        ("/admin/v1/nothing", Who.ADMINISTRATOR),
        ("/admin", Who.ANYBODY),
    ],
)
def test_where_nothing_is_the_answer_is_the_surfaces_own_error(refusing_estate: Estate, path: str, who: Who) -> None:
    headers = Ask(who, "GET", path).credential(refusing_estate.mine)
    assert_error(refusing_estate.http.get(path, headers=headers), who, 404, 405)
