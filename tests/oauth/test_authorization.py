"""The authorization endpoint: in the metadata, and every request to it is refused, in the protocol's words."""

from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from tests.fixtures import Tenant
from tests.oauth.conftest import TemplateDatabase

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CODE = {"response_type": "code", "client_id": "anybody", "state": "x", "code_challenge": "y" * 43,
        "code_challenge_method": "S256"}  # fmt: skip
CALLBACK = "https://elsewhere.example/callback"

pytestmark = pytest.mark.promise(9)


def send(tenant: Tenant, method: str, parameters: dict[str, str]) -> httpx2.Response:
    path = f"/t/{tenant.slug}/oauth/authorize"
    if method == "POST":
        return tenant.http.post(path, content=urlencode(parameters), headers=FORM, follow_redirects=False)
    return tenant.http.request(method, path, params=parameters, follow_redirects=False)


def assert_refused(tenant: Tenant, answer: httpx2.Response, error: str, reason: str, status: int = 400) -> None:
    """An error document and never a redirect; the refusal is an event."""
    assert answer.status_code == status
    assert "Location" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["error"] == error
    assert answer.json()["error_description"].endswith(f"({reason})")
    event = tenant.last_event()
    assert (event.event.type, event.event.reason, event.caller_kind) == ("oauth.refused", reason, "anonymous")
    assert event.event.detail["endpoint"] == "oauth.authorize"


@pytest.mark.rfc("6749", "3.1.1")
@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "more", [{}, {"redirect_uri": CALLBACK}, {"redirect_uri": "javascript:alert(1)"}, {"client_id": ""}]
)
@pytest.mark.parametrize("response_type", ["code", "token", "id_token", "code id_token", "None", "é", "x" * 9_000])
def test_no_response_type_is_supported_and_no_redirect_uri_is_followed(
    read_only: Tenant, method: str, more: dict[str, str], response_type: str
) -> None:
    answer = send(read_only, method, CODE | more | {"response_type": response_type})
    assert_refused(read_only, answer, "unsupported_response_type", "unsupported_response_type")
    assert CALLBACK not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("more", [{}, {"redirect_uri": CALLBACK}])
def test_the_response_type_of_the_metadata_is_one_that_no_client_is_registered_for(
    read_only: Tenant, method: str, more: dict[str, str]
) -> None:
    [supported] = read_only.http.get("/t/acme/.well-known/openid-configuration").json()["response_types_supported"]
    answer = send(read_only, method, CODE | more | {"response_type": supported})
    assert_refused(read_only, answer, "unauthorized_client", "response_type_not_allowed")


@pytest.mark.rfc("6749", "3.1.1")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("parameters", [{}, {"response_type": ""}, {"redirect_uri": CALLBACK}, {"client_id": "x"}])
def test_a_request_without_a_response_type_lacks_a_parameter(
    read_only: Tenant, method: str, parameters: dict[str, str]
) -> None:
    assert_refused(read_only, send(read_only, method, parameters), "invalid_request", "response_type_missing")


RIGHT = urlencode(CODE)
FAULTS: list[tuple[str, str, str]] = [
    ("repeated parameter", f"{RIGHT}&response_type=code", "repeated_parameter"),
    ("repeated redirect_uri", f"{RIGHT}&redirect_uri=a&redirect_uri=b", "repeated_parameter"),
    ("51 fields", "&".join(f"f{number}=1" for number in range(51)), "form"),
    ("invalid UTF-8", "response_type=%ff%fe", "form"),
    ("a surrogate", "response_type=%ed%a0%80", "form"),
    ("NUL", "response_type=a%00b", "null_character"),
]


@pytest.mark.parametrize(("parameters", "reason"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_parameters_with_one_fault_are_refused_for_that_fault(read_only: Tenant, parameters: str, reason: str) -> None:
    asked = read_only.http.get(f"/t/acme/oauth/authorize?{parameters}")
    assert_refused(read_only, asked, "invalid_request", reason)
    read_only.runtime.refusals.kept.clear()
    posted = read_only.http.post("/t/acme/oauth/authorize", content=parameters, headers=FORM)
    assert_refused(read_only, posted, "invalid_request", reason)


@pytest.mark.promise(8)
def test_what_is_sent_is_bounded(read_only: Tenant, template_db: TemplateDatabase) -> None:
    long = f"{RIGHT}&x={'x' * 65_536}"
    asked = template_db.web.app.test_client().get(
        "/t/acme/oauth/authorize", query_string=long
    )  # no server bounds it before
    assert (asked.status_code, asked.get_json()["error"]) == (400, "invalid_request")
    assert read_only.last_event().event.reason == "query_string"
    posted = read_only.http.post("/t/acme/oauth/authorize", content=long, headers=FORM)
    assert_refused(read_only, posted, "invalid_request", "too_large", 413)


@pytest.mark.parametrize(
    ("query", "headers", "reason"),
    [("?response_type=code", FORM, "query_string"), ("", {"Content-Type": "application/json"}, "media_type")],
)
def test_a_post_has_its_parameters_in_a_form_alone(
    read_only: Tenant, query: str, headers: dict[str, str], reason: str
) -> None:
    answer = read_only.http.post(f"/t/acme/oauth/authorize{query}", content=RIGHT, headers=headers)
    assert_refused(read_only, answer, "invalid_request", reason)


def test_head_is_answered_as_get_and_no_other_method_is_there(read_only: Tenant) -> None:
    head = send(read_only, "HEAD", CODE)
    assert (head.status_code, head.content) == (400, b"")
    for method in ("OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"):
        answer = send(read_only, method, CODE)
        assert answer.status_code == 405, method
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("slug", ["nobody", "ACME", "acme.", "a" * 64])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_tenant_that_is_not_there_has_no_authorization_endpoint(read_only: Tenant, slug: str, method: str) -> None:
    sent: dict[str, Any] = {"data": CODE} if method == "POST" else {"params": CODE}
    answer = read_only.http.request(method, f"/t/{slug}/oauth/authorize", **sent)
    assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request")


def test_both_tenants_refuse_alike_and_write_it_into_their_own_audit_log(acme: Tenant, rival: Tenant) -> None:
    before = len(rival.events())
    mine = send(acme, "GET", CODE)
    assert len(rival.events()) == before
    assert mine.content == send(rival, "GET", CODE).content
    assert len(rival.events()) == before + 1
