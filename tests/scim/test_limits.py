"""Every limit holds at its last value, is refused one beyond it, and is what is advertised."""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from identity.edge.runtime import Runtime
from scim.limits import (
    BULK_OPERATIONS_MAX,
    DEPTH_MAX,
    FILTER_CHARACTERS_MAX,
    FILTER_DEPTH_MAX,
    FILTER_TERMS_MAX,
    MEMBERS_MAX,
    OPERATIONS_MAX,
    PAGE_SIZE_MAX,
)
from tests.scim.sources import PATCH, USER, Source
from tests.scim.test_requirements import BULK, NOBODY, SEARCH, emails, snapshot


def nested(depth: int) -> bytes:
    """A user whose JSON is ``depth`` deep, in an attribute that nobody knows."""
    inner = b"[" * (depth - 1) + b"]" * (depth - 1)
    return b'{"schemas":["%s"],"userName":"deep-%d","x":%s}' % (USER.encode(), depth, inner)


def operations(number: int) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": "title", "value": str(n)} for n in range(number)]


def terms(number: int) -> str:
    return " or ".join(["title pr"] * number)


def brackets(number: int) -> str:
    return "(" * number + "title pr" + ")" * number


def letters(number: int) -> str:
    return 'title eq "'.ljust(number - 1, "x") + '"'


def filtering(text: str) -> Callable[[Source], int]:
    """Ask with a filter in the URL and in a body: both have the same limits."""

    def ask(source: Source) -> int:
        in_url = source.ask("GET", f"/Users?filter={quote(text)}")
        in_body = source.ask("POST", "/Users/.search", {"schemas": [SEARCH], "filter": text})
        assert (in_url.status_code, in_url.json.get("scimType")) == (in_body.status_code, in_body.json.get("scimType"))
        return in_url.status_code

    return ask


def patching(number: int) -> Callable[[Source], int]:
    def ask(source: Source) -> int:
        body = {"schemas": [PATCH], "Operations": operations(number)}
        return source.ask("PATCH", f"/Users/{source.user(f'patched-{number}')}", body).status_code

    return ask


def joining(number: int) -> Callable[[Source], int]:
    def ask(source: Source) -> int:
        links = [{"value": NOBODY}] * (number - 1) + [{"value": source.user(f"member-{number}")}]
        operation = {"op": "remove", "path": "members", "value": links}
        return source.ask(
            "PATCH", f"/Groups/{source.group('G')}", {"schemas": [PATCH], "Operations": [operation]}
        ).status_code

    return ask


def creating(number: int) -> Callable[[Source], int]:
    body = {"schemas": [USER], "userName": f"many-{number}", "emails": emails(number)}
    return lambda source: source.ask("POST", "/Users", body).status_code


def in_one_bulk(number: int) -> Callable[[Source], int]:
    gone = [{"method": "DELETE", "path": "/Users/nobody"}] * number
    return lambda source: (
        source.ask("POST", "/Bulk", {"schemas": [BULK], "failOnErrors": 1, "Operations": gone}).status_code
    )


def sized(source: Source, beyond: int) -> int:
    size: int = source.get("/ServiceProviderConfig")["bulk"]["maxPayloadSize"] + beyond
    body = json.dumps({"schemas": [USER], "userName": f"sized-{beyond}"}).encode()
    return source.ask("POST", "/Users", body.ljust(size)).status_code


LIMITS: dict[str, tuple[Callable[[Source], int], Callable[[Source], int], int]] = {
    "body": (lambda source: sized(source, 0), lambda source: sized(source, 1), 413),
    "JSON depth": (
        lambda source: source.ask("POST", "/Users", nested(DEPTH_MAX)).status_code,
        lambda source: source.ask("POST", "/Users", nested(DEPTH_MAX + 1)).status_code,
        400,
    ),
    "filter characters": (
        filtering(letters(FILTER_CHARACTERS_MAX)),
        filtering(letters(FILTER_CHARACTERS_MAX + 1)),
        400,
    ),
    "filter terms": (filtering(terms(FILTER_TERMS_MAX)), filtering(terms(FILTER_TERMS_MAX + 1)), 400),
    "filter depth": (filtering(brackets(FILTER_DEPTH_MAX)), filtering(brackets(FILTER_DEPTH_MAX + 1)), 400),
    "PATCH operations": (patching(OPERATIONS_MAX), patching(OPERATIONS_MAX + 1), 413),
    "members of an operation": (joining(MEMBERS_MAX), joining(MEMBERS_MAX + 1), 413),
    "values of an attribute": (creating(MEMBERS_MAX), creating(MEMBERS_MAX + 1), 413),
    "Bulk operations": (in_one_bulk(BULK_OPERATIONS_MAX), in_one_bulk(BULK_OPERATIONS_MAX + 1), 413),
}  # fmt: skip


@pytest.mark.requirement("S6")
@pytest.mark.promise(8)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_is_reached_and_not_passed(rfc: Source, limit: str) -> None:
    within, beyond, status = LIMITS[limit]
    assert within(rfc) < 300
    before = snapshot(rfc)
    assert beyond(rfc) == status
    assert [len(page["Resources"]) for page in snapshot(rfc)[2:]] == [len(page["Resources"]) for page in before[2:]]


@pytest.mark.requirement("S6")
@pytest.mark.promise(8)
def test_a_page_is_as_large_as_advertised_and_no_larger(rfc: Source) -> None:
    advertised = rfc.get("/ServiceProviderConfig")
    assert advertised["filter"]["maxResults"] == advertised["pagination"]["maxPageSize"] == PAGE_SIZE_MAX
    made = [{"method": "POST", "path": "/Users", "bulkId": f"b{n}", "data": {"schemas": [USER], "userName": f"u{n}"}}
            for n in range(PAGE_SIZE_MAX + 1)]  # fmt: skip
    rfc.post("/Bulk", {"schemas": [BULK], "Operations": made}, status=200)
    for parameters in (f"count={PAGE_SIZE_MAX}", f"count={PAGE_SIZE_MAX + 1}", "count=999999", "cursor=&count=100000"):
        page = rfc.get(f"/Users?{parameters}")
        assert (len(page["Resources"]), page["totalResults"]) == (PAGE_SIZE_MAX, PAGE_SIZE_MAX + 1), parameters
    assert len(rfc.get("/Users")["Resources"]) == advertised["pagination"]["defaultPageSize"]


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.mark.requirement("S6")
@pytest.mark.promise(8)
def test_what_passes_a_limit_leaves_no_memory_behind(rfc: Source, runtime: Runtime) -> None:
    sam = rfc.user("sam")
    size = runtime.body_bytes_max
    hostile: list[tuple[str, str, bytes]] = [
        ("POST", "/Users", b"[" * size),
        ("POST", "/Users", b'{"a":' * (size // 5)),
        ("POST", "/Users", b'{"x":[' + b"1," * (size // 2 - 10) + b"1]}"),
        ("POST", "/Users", b'{"x":"' + b"\\u0041" * (size // 6 - 10) + b'"}'),
        ("POST", "/Users/.search", json.dumps({"schemas": [SEARCH], "filter": terms(size // 20)}).encode()),
        ("POST", "/Users/.search", json.dumps({"schemas": [SEARCH], "filter": brackets(size // 3)}).encode()),
        ("POST", "/Bulk", json.dumps({"schemas": [BULK], "Operations": [{}] * (size // 5)}).encode()),
        ("PATCH", f"/Users/{sam}", json.dumps({"schemas": [PATCH], "Operations": [{}] * (size // 5)}).encode()),
    ]

    def send_all() -> None:
        for method, path, body in hostile:
            status = rfc.ask(method, path, body[:size]).status_code
            assert status in (400, 413), (method, path, status)
        gc.collect()

    for _ in range(2):
        send_all()  # what the process keeps for ever (arenas, caches) it has by now
    before = resident_kib()
    for _ in range(3):
        send_all()
    assert resident_kib() - before < 50 * 1024
