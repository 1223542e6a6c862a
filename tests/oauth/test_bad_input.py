"""Bad input gets the protocol's own error, names the fault, changes nothing, and is never a 500."""

import base64
import http.client
import json
import socket
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures import ASSERTION_TYPE, CRM, DETAILS, EXCHANGE, TYPE, Tenant, TwoTenants, let_act
from tests.trials import trials

ENDPOINTS = ("token", "introspect", "revoke")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RIGHT = b"grant_type=client_credentials&token=x"

FAULTS: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("no media type", RIGHT, {}, 400, "media_type"),
    ("JSON", b'{"grant_type":"client_credentials"}', {"Content-Type": "application/json"}, 400, "media_type"),
    ("multipart", RIGHT, {"Content-Type": "multipart/form-data; boundary=x"}, 400, "media_type"),
    ("text", RIGHT, {"Content-Type": "text/plain"}, 400, "media_type"),
    ("broken media type", RIGHT, {"Content-Type": ";;;"}, 400, "media_type"),
    ("repeated parameter", RIGHT + b"&token=y", FORM, 400, "repeated_parameter"),
    ("repeated though empty", RIGHT + b"&token=", FORM, 400, "repeated_parameter"),
    ("51 fields", b"&".join(b"f%d=1" % number for number in range(51)), FORM, 400, "form"),
    ("10 000 fields", b"a=1&" * 10_000, FORM, 400, "form"),
    ("64 kB and a byte", b"a=" + b"x" * 65_535, FORM, 413, "too_large"),
    ("200 kB", b"a=" + b"x" * 200_000, FORM, 413, "too_large"),
    ("invalid UTF-8", b"token=%ff%fe", FORM, 400, "form"),
    ("overlong UTF-8", b"token=%c0%80", FORM, 400, "form"),
    ("a surrogate", b"token=%ed%a0%80", FORM, 400, "form"),
    ("raw bytes", b"token=\xff", FORM, 400, "form"),
    ("raw non-ASCII", "token=é".encode(), FORM, 400, "form"),
    ("NUL", b"token=a%00b", FORM, 400, "null_character"),
    ("empty", b"", FORM, 401, "credential_missing"),
    ("ampersands", b"&&&&", FORM, 401, "credential_missing"),
    ("no equals sign", b"token", FORM, 401, "credential_missing"),
]


@pytest.mark.promise(9)
@pytest.mark.promise(8)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"), [row[1:] for row in FAULTS], ids=[r[0] for r in FAULTS]
)
def test_a_form_with_one_fault_is_refused_for_that_fault(
    read_only: Tenant, endpoint: str, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = read_only.http.post(f"/t/acme/oauth/{endpoint}", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json().keys() == {"error", "error_description"}
    assert answer.json()["error"] == ("invalid_client" if status == 401 else "invalid_request")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert read_only.last_event().event.reason == reason


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("query", ["?grant_type=client_credentials", "?token=x", "?x", "?access_token=x"])
def test_nothing_is_taken_from_a_url(read_only: Tenant, endpoint: str, query: str) -> None:
    bot = read_only.agent("ocr-bot")
    auth = (bot.client_id, bot.secret or "")
    answer = read_only.http.post(f"/t/acme/oauth/{endpoint}{query}", content=RIGHT, headers=FORM, auth=auth)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.rfc("6749", "3.2")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_another_method_than_post_is_not_allowed(read_only: Tenant, endpoint: str, method: str) -> None:
    answer = read_only.http.request(method, f"/t/acme/oauth/{endpoint}")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.json()["status"] == 405


@pytest.mark.parametrize("repeated", ["resource", "audience"])
def test_a_target_given_twice_is_an_invalid_target(read_only: Tenant, repeated: str) -> None:
    body = f"{repeated}=https%3A%2F%2Ferp.example&{repeated}=https%3A%2F%2Fcrm.example"
    answer = read_only.http.post("/t/acme/oauth/token", content=body, headers=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


PATHS = [
    "/t/nobody/oauth/token", "/t/%2Facme/oauth/token", "/t//acme/oauth/token", "/t/acme//oauth/token",
    "/t/acme/oauth//token", "/t/acme/oauth/token/", "/t/ACME/oauth/token", "/t/acme%00/oauth/token",
    "/t/acme%20/oauth/token", "/t/../t/nobody/oauth/token", "/t/acme/../rival2/oauth/token", "/t/acme;x=1/oauth/token",
    "/t/%ff/oauth/token", "/t/%252Facme/oauth/token", "/t/" + "a" * 5_000 + "/oauth/token", "/t/acme/oauth/TOKEN",
    "/t/acme/oauth", "/t//oauth/token", "/oauth/token", "/t/acme\\oauth/token", "/T/acme/oauth/token",
]  # fmt: skip


@pytest.mark.promise(4)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_has_one_spelling_and_any_other_leads_nowhere(read_only: Tenant, path: str) -> None:
    status, body = raw_post(read_only, path, with_credential=True)
    assert status in (404, 405), body
    assert b"access_token" not in body
    assert b"Traceback" not in body


def test_slashes_are_not_merged(two_tenants: TwoTenants) -> None:
    assert two_tenants.app.test_client().post("//t/acme/oauth/token", data=RIGHT, headers=FORM).status_code == 404


@pytest.mark.parametrize("path", ["/t/acme%2Foauth%2Ftoken", "/%74/acme/oauth/token", "/t/%61cme/oauth/token"])
def test_a_path_that_is_the_same_when_decoded_has_the_same_rules(read_only: Tenant, path: str) -> None:
    assert raw_post(read_only, path, with_credential=True)[0] == 200
    assert raw_post(read_only, path, with_credential=False)[0] == 401


def raw_post(tenant: Tenant, path: str, *, with_credential: bool) -> tuple[int, bytes]:
    """POST a right request to exactly this path: a client library would tidy it up."""
    bot = tenant.agent("ocr-bot")
    basic = base64.b64encode(f"{bot.client_id}:{bot.secret}".encode()).decode()
    headers = FORM | ({"Authorization": f"Basic {basic}"} if with_credential else {})
    connection = http.client.HTTPConnection("127.0.0.1", tenant.http.base_url.port, timeout=10)
    try:
        connection.request("POST", path, RIGHT, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999", "1e3"])
def test_a_broken_content_length_is_no_fault_of_ours(read_only: Tenant, length: str) -> None:
    with socket.create_connection(("127.0.0.1", read_only.http.base_url.port or 0), timeout=10) as connection:
        head = f"POST /t/acme/oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['Content-Type']}\r\n"
        connection.sendall(f"{head}Content-Length: {length}\r\nConnection: close\r\n\r\n".encode() + RIGHT)
        assert int(connection.recv(100).split()[1]) in (400, 401, 413)


WORDS = st.sampled_from(
    ["grant_type", "client_credentials", EXCHANGE, "subject_token", "subject_token_type", f"{TYPE}id_token", "scope",
     f"{TYPE}access_token", "resource", "https://erp.example", "authorization_details", "[]", "actor_token", "token",
     "actor_token_type", "client_assertion", "client_assertion_type", ASSERTION_TYPE, "client_id", "a.b.c",
     "e30.e30.e30"]
)  # fmt: skip


@pytest.mark.promise(9)
@settings(max_examples=trials(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    endpoint=st.sampled_from(ENDPOINTS), form=st.dictionaries(WORDS | st.text(max_size=5), WORDS | st.text(max_size=9))
)
def test_whatever_is_sent_the_answer_is_an_oauth_answer(read_only: Tenant, endpoint: str, form: dict[str, Any]) -> None:
    bot = read_only.agent("ocr-bot")
    body = "&".join(f"{quote(name, errors='replace')}={quote(form[name], errors='replace')}" for name in form)
    auth = (bot.client_id, bot.secret or "")
    answer = read_only.http.post(f"/t/acme/oauth/{endpoint}", content=body, headers=FORM, auth=auth)
    assert answer.status_code in (200, 400, 401)
    assert "error" in answer.json() or answer.status_code == 200


@pytest.mark.promise(8)
def test_a_token_that_nobody_would_take_for_its_size_is_not_issued(two_tenants: TwoTenants) -> None:
    """A number in details may grow when it is stored: 1e300 is 5 characters, and 301 when the database says it."""
    acme = two_tenants.acme
    numbers = [float(f"1e{300 - power}") for power in range(60)]
    grown = ({"type": "invoice", "n": numbers}, {"type": "invoice", "m": numbers}, DETAILS[0])
    with acme.tx() as tx:
        let_act(tx, acme.agent("ocr-bot").id, acme.seeded.finance, authorization_details=grown, resource=CRM)
    answer = acme.exchange("ocr-bot", resource=CRM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")
    assert acme.last_event().event.reason == "token_size"
    assert acme.exchange("ocr-bot", resource=CRM, authorization_details=json.dumps(DETAILS)).status_code == 200
