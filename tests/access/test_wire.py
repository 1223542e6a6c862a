"""The same through the real web server, byte for byte: what it decodes, joins or lets through opens nothing."""

import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from tests.access.conftest import Plan
from tests.access.owned_objects import Belongings
from tests.access.test_paths import SPELLINGS
from tests.conformance.stage import identity_dev
from tests.conftest import Server

USERS = "/t/acme/scim/v2/Users"
EXCHANGE = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def send(server: Server, plan: Plan) -> Iterator[EXCHANGE]:
    """Send bytes to a running product that has both tenants; return what it answers before it hangs up."""
    name = server.copy(plan.database, prefix="wire")
    key = b64encode(bytes(32)).decode()  # the one that sealed the plan's keys
    with identity_dev(
        server.url(name, role="identity_app"), server.url(name), IDENTITY_KEY_ENCRYPTION_KEY=key
    ) as base_url:
        place = urlsplit(base_url)

        def exchange(request: bytes) -> bytes:
            with socket.create_connection((place.hostname, place.port), timeout=15) as connection:
                connection.sendall(request)
                answer = b""
                while part := connection.recv(65_536):
                    answer += part
            return answer

        yield exchange


def head(method: str, target: str | bytes, *lines: str) -> bytes:
    """Return a request head; what is not ASCII in the target is sent as it is."""
    raw = target if isinstance(target, bytes) else target.encode()
    rest = "".join(f"{line}\r\n" for line in ("Host: localhost", "Connection: close", *lines))
    return method.encode() + b" " + raw + b" HTTP/1.1\r\n" + rest.encode("latin-1") + b"\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def bearer(has: Belongings) -> str:
    return f"Authorization: Bearer {has['scim_token']}"


def test_the_plain_path_is_answered_with_its_credential_alone(send: EXCHANGE, plan: Plan) -> None:
    assert status_of(send(head("GET", USERS, bearer(plan.mine)))) == 200
    assert status_of(send(head("GET", USERS))) == 401
    assert status_of(send(head("GET", USERS, bearer(plan.rivals)))) == 401


@pytest.mark.requirement("S10")
@pytest.mark.promise(4)
def test_no_spelling_of_a_path_is_answered_without_its_credential(send: EXCHANGE, plan: Plan) -> None:
    spelled = [spell(path) for spell in SPELLINGS.values() for path in (USERS, f"{USERS}/{plan.mine['sam']}")]
    raw = [b"/t/acme/scim/v2/Users\x00", b"/t/acme/scim/v2/Users\xff", b"http://localhost" + USERS.encode(),
           b"http://rival" + USERS.encode(), b"//localhost" + USERS.encode(), b"*",
           b"/t/acme\\scim\\v2\\Users"]  # fmt: skip
    for target in [*spelled, *raw]:
        for credential in ([], [bearer(plan.rivals)]):
            answer = send(head("GET", target, *credential))
            assert status_of(answer) in (0, 400, 401, 404, 405), (target, answer[:200])


FAULTS = {
    "two lengths": ["Content-Length: 2", "Content-Length: 3"],
    "a length and chunks": ["Content-Length: 2", "Transfer-Encoding: chunked"],
    "a length that is none": ["Content-Length: x"],
    "a length below nothing": ["Content-Length: -1"],
    "an unknown coding": ["Transfer-Encoding: x"],
    "a blank before the colon": ["Content-Length : 2"],
    "a folded line": ["X: a", " b"],
    "a name that is none": ["a b: c"],
    "a head of 100 kB": ["X: " + "x" * 100_000],
    "a thousand lines": [f"X-{number}: x" for number in range(1_000)],
    "two credentials": ["Authorization: Bearer x", "Authorization: Bearer y"],
    "not ASCII": ["Authorization: Bearer \xe9\xff"],
}


@pytest.mark.promise(9)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_head_is_refused_and_is_no_fault_of_ours(send: EXCHANGE, fault: str) -> None:
    try:
        answer = send(head("POST", USERS, "Content-Type: application/json", *FAULTS[fault]) + b"{}")
    except ConnectionError:
        answer = b""  # the web server hung up while we still spoke
    assert status_of(answer) in (0, 400, 401, 413, 415, 431, 501), answer[:300]
    assert b"Traceback" not in answer


@pytest.mark.promise(9)
def test_the_web_server_serves_on_after_all_that(send: EXCHANGE, plan: Plan) -> None:
    for broken in (
        b"\x16\x03\x01\x02\x00",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 100,
    ):
        try:
            assert status_of(send(broken + b"\r\n\r\n")) in (0, 400, 404, 405, 505)
        except ConnectionError:
            continue
    assert status_of(send(head("GET", USERS, bearer(plan.mine)))) == 200
