"""What a client is told of its failed authentication is the same for a client id that nobody has."""

import base64
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from identity.actions.client_authentication import FAULTS_OF_REQUESTS
from tests.fixtures import ASSERTION_TYPE, Client, Tenant

UNKNOWN = "nobody-has-this-id"


def post(tenant: Tenant, endpoint: str = "token", *, authorization: str | None = None, **form: Any) -> httpx2.Response:
    right = {"grant_type": "client_credentials"} if endpoint == "token" else {"token": "x.y.z"}
    headers = {} if authorization is None else {"Authorization": authorization}
    return tenant.http.post(f"/t/{tenant.slug}/oauth/{endpoint}", data=right | form, headers=headers)


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def asserted(**claims: Any) -> Callable[[Tenant, str], dict[str, Any]]:
    """Return how a client of an id sends an assertion with some claims, signed by a key of its own making."""

    def form(tenant: Tenant, client_id: str) -> dict[str, Any]:
        header = claims.get("header", {})
        changed = {name: value for name, value in claims.items() if name != "header"}
        text = Client(client_id, ECKey.generate_key("P-256")).assertion(
            tenant.issuer, tenant.now, header=header, **changed
        )
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}

    return form


FAULTS: dict[str, Callable[[Tenant, str], dict[str, Any]]] = {
    "a key that is not registered": asserted(),
    "another key id": asserted(header={"kid": "client-2"}),
    "another audience": asserted(aud="https://other.example"),
    "an assertion that is over": asserted(exp=1_000),
    "an assertion of tomorrow": asserted(nbf=2_000_000_000),
    "an assertion made tomorrow": asserted(iat=2_000_000_000),
    "another issuer": asserted(iss="other"),
    "no jti": asserted(jti=...),
    "another type": asserted(header={"typ": "at+jwt"}),
    "a wrong secret": lambda _, client_id: {"authorization": basic(client_id, "wrong")},
    "a secret in the body": lambda _, client_id: {"client_id": client_id, "client_secret": "x"},
    "nothing but the id": lambda _, client_id: {"client_id": client_id},
    "another id beside it": lambda _, client_id: {"authorization": basic(client_id, "x"), "client_id": "other"},
}


def whole(answer: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    """Return all that a client sees, but for what tells two requests apart."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, headers, answer.content


@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["invoice-bot", "ocr-bot"])  # the one has a key, the other a secret
def test_a_client_that_exists_is_answered_as_one_that_does_not(
    read_only: Tenant, name: str, fault: str, endpoint: str
) -> None:
    known = post(read_only, endpoint, **FAULTS[fault](read_only, read_only.agent(name).client_id))
    unknown = post(read_only, endpoint, **FAULTS[fault](read_only, UNKNOWN))
    assert whole(known) == whole(unknown)
    assert known.status_code == 401


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("another audience", "assertion_audience"),
        ("an assertion that is over", "assertion_expired"),
        ("an assertion of tomorrow", "assertion_not_yet_valid"),
        ("another issuer", "assertion_issuer"),
        ("no jti", "assertion_jti"),
        ("another type", "assertion_type"),
        ("nothing but the id", "credential_missing"),
        ("another id beside it", "client_id_differs"),
    ],
)
def test_what_the_request_alone_shows_is_told(read_only: Tenant, fault: str, reason: str) -> None:
    told = post(read_only, **FAULTS[fault](read_only, UNKNOWN)).json()["error_description"]
    assert told == f"client authentication failed: {FAULTS_OF_REQUESTS[reason]} ({reason})"


@pytest.mark.parametrize(
    "fault", ["a key that is not registered", "another key id", "a wrong secret", "a secret in the body"]
)
def test_what_depends_on_the_client_is_not_told(read_only: Tenant, fault: str) -> None:
    told = post(read_only, **FAULTS[fault](read_only, read_only.agent().client_id)).json()
    assert told == {"error": "invalid_client", "error_description": "client authentication failed"}


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.parametrize(
    ("authorization", "is_challenged"),
    [("Basic eDp5", True), ("basic !!!", True), ("BASIC", True), ("Bearer x", False), (None, False)],
)
def test_basic_is_the_challenge_only_where_basic_was_tried(
    read_only: Tenant, authorization: str | None, is_challenged: bool
) -> None:
    answer = post(read_only, authorization=authorization)
    assert answer.status_code == 401
    assert ("WWW-Authenticate" in answer.headers) is is_challenged


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"another id beside it"}))
def test_the_event_names_the_client_that_was_claimed(read_only: Tenant, fault: str) -> None:
    post(read_only, **FAULTS[fault](read_only, UNKNOWN))
    event = read_only.last_event()
    assert (event.event.detail["claimed_client_id"], event.caller_kind) == (UNKNOWN, "anonymous")


@pytest.mark.parametrize(
    ("claims", "reason", "off_by_s"),
    [
        ({"exp": -3540}, "assertion_expired", "-3540"),
        ({"iat": 3600, "exp": 3660}, "assertion_not_yet_valid", "3600"),
        ({"nbf": 3600}, "assertion_not_yet_valid", "3600"),
    ],
)
def test_a_refusal_for_the_time_says_by_how_many_seconds_the_clocks_disagree(
    read_only: Tenant, claims: dict[str, int], reason: str, off_by_s: str
) -> None:
    second = int(read_only.now.timestamp())
    post(read_only, **asserted(**{name: second + value for name, value in claims.items()})(read_only, UNKNOWN))
    event = read_only.last_event().event
    assert (event.reason, event.detail["off_by_s"]) == (reason, off_by_s)


def test_what_is_claimed_is_kept_short_and_printable(read_only: Tenant) -> None:
    post(read_only, client_id="é\n\x7f" + "x" * 5_000)
    assert read_only.last_event().event.detail["claimed_client_id"] == "???" + "x" * 253


@pytest.mark.parametrize("secret", ["idf_client_0123456789", "idf_scim_0123456789", "eyJhbGciOiJub25lIn0.e30."])
def test_a_secret_in_the_place_of_the_id_is_not_kept(read_only: Tenant, secret: str) -> None:
    for form in ({"client_id": secret}, {"authorization": basic(secret, "")}, {"authorization": basic("x", "x")}):
        post(read_only, **form)
        assert "claimed_client_id" not in read_only.last_event().event.detail
