"""The processor time of a request is bounded: work is counted, and what goes beyond is refused and changes nothing."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from identity.actions.definitions import define_schema
from identity.model.query import MARKS_MAX
from scim.limits import DOCUMENT_BYTES_MAX, FILTER_COMPARISONS_MAX, MEMBERS_MAX, OPERATIONS_MAX, VALUES_MAX
from tests.scim.defined import BADGE, Defined
from tests.scim.sources import PATCH, USER, Source
from tests.scim.test_requirements import BULK, NOBODY, SEARCH

SECONDS_MAX = 1.0  # twice what the bound allows: the machine may be busy
Operations = list[dict[str, Any]]


def emails(number: int, ending: str = "") -> list[dict[str, str]]:
    return [{"value": f"p{n}@x.example{ending}", "type": "work", "display": f"n{n}"} for n in range(number)]


def terms(number: int, sub: str = "value") -> str:
    return " or ".join(f'{sub} eq "nobody{n}"' for n in range(number))


def removes(path: str, times: int = OPERATIONS_MAX) -> Operations:
    return [{"op": "remove", "path": path}] * times


def named(number: int) -> list[dict[str, str]]:
    return [{"value": f"z{n}"} for n in range(number)]


def part_sets(number: int) -> list[dict[str, str]]:
    """Values that each name other parts of an element."""
    parts = ("value", "type", "display", "primary")
    sets = [[part for bit, part in enumerate(parts[:3]) if n >> bit & 1] for n in range(1, 8)]
    return [dict.fromkeys(sets[n % 7], f"z{n}") for n in range(number)]


REFUSED: dict[str, Operations] = {
    "selections of many terms over many values": removes(f"emails[{terms(19)}]"),
    "selections by negation": removes(f"emails[not (value pr) or ({terms(17)})]"),
    "selections by presence": removes("emails[" + " and ".join(["not (primary pr)"] * 18 + ['value eq "x"']) + "]"),
    "selections of a tenant's own attribute": removes(f"{BADGE}:locks[{terms(19)}]"),
    "a part of every value, again and again": [{"op": "replace", "path": "emails.display", "value": "z"}] * 100,
    "a long part of every value": [{"op": "replace", "path": "emails.display", "value": "z" * 100_000}],
    "long texts compared": removes('emails[value co "' + "ﷺ" * 1_500 + '"]'),
    "values added to many, again and again": [{"op": "add", "path": "emails", "value": emails(100)}] * OPERATIONS_MAX,
}  # fmt: skip
DONE: dict[str, Operations] = {
    "many values removed by value, again and again": [{"op": "remove", "path": "emails", "value": named(600)}] * 40,
    "values removed by every set of parts": [{"op": "remove", "path": "emails", "value": part_sets(700)}] * 3,
    "a thousand values removed by value": [
        {"op": "remove", "path": "emails", "value": [{"value": each["value"]} for each in emails(MEMBERS_MAX)]}
    ],
    "one term over many values, a hundred times": removes('emails[value eq "nobody"]'),
    "one value added, a hundred times": [
        {"op": "add", "path": f"{BADGE}:floors", "value": [n]} for n in range(OPERATIONS_MAX)
    ],
    "a hundred paths of many terms over nothing": removes(f"photos[{terms(19)}]"),
}  # fmt: skip


@pytest.fixture
def sam(rfc: Source, defined: Defined) -> str:
    """A user with as many values as there may be, some in an attribute of the tenant's own."""
    defined.badge()
    locks = [{"value": f"l{n}", "location": "x"} for n in range(MEMBERS_MAX)]
    return rfc.user("sam", emails=emails(MEMBERS_MAX), schemas=[USER, BADGE], **{BADGE: {"locks": locks}})


def compact(body: Any) -> bytes:
    """Return JSON with its letters as they are, which are half as many bytes."""
    return json.dumps(body, ensure_ascii=False).encode()


def timed(ask: Callable[[], Any]) -> Any:
    """Return what a request is answered; it takes no more of a processor than it may."""
    began_s = time.thread_time()
    answered = ask()
    assert time.thread_time() - began_s < SECONDS_MAX
    return answered


@pytest.mark.promise(8)
@pytest.mark.parametrize("asked", REFUSED)
def test_a_patch_of_too_much_work_is_refused_and_changes_nothing(rfc: Source, sam: str, asked: str) -> None:
    before = rfc.get(f"/Users/{sam}")
    body = {"schemas": [PATCH], "Operations": REFUSED[asked]}
    refused = timed(lambda: rfc.ask("PATCH", f"/Users/{sam}", body))
    assert refused.status_code == 413, refused.text[:300]
    assert "units of work" in refused.json["detail"]
    assert rfc.get(f"/Users/{sam}") == before


@pytest.mark.promise(8)
@pytest.mark.parametrize("asked", DONE)
def test_a_patch_of_ordinary_size_is_done_within_the_bound(rfc: Source, sam: str, asked: str) -> None:
    timed(lambda: rfc.patch(f"/Users/{sam}", *DONE[asked]))


def test_values_removed_by_value_are_those_that_have_all_that_is_named(rfc: Source) -> None:
    sam = rfc.user("sam", emails=emails(4))
    named = [{"value": "p0@x.example", "type": "home"}, {"value": "p1@x.example"}, {"type": "work", "display": "n2"}]
    left = rfc.patch(f"/Users/{sam}", {"op": "remove", "path": "emails", "value": named})
    assert [each["display"] for each in left["emails"]] == ["n0", "n3"]


def test_the_patches_of_a_bulk_have_a_bound_together(rfc: Source, sam: str) -> None:
    operation = {"op": "remove", "path": f"emails[{terms(19)}]"}
    body = {"schemas": [PATCH], "Operations": [operation] * 7}  # each of them is within its own bound
    asked = [{"method": "PATCH", "path": f"/Users/{sam}", "data": body}] * 15
    began_s = time.thread_time()
    reports = rfc.post("/Bulk", {"schemas": [BULK], "Operations": asked}, status=200)["Operations"]
    assert time.thread_time() - began_s < 10 * SECONDS_MAX
    statuses = [report["status"] for report in reports]
    assert statuses[0] == "200"
    assert statuses[-1] == "413"
    assert "of a Bulk" in reports[-1]["response"]["detail"]


def test_a_large_group_is_changed_by_as_many_members_as_a_body_holds(rfc: Source) -> None:
    group = rfc.group("Everyone")
    gone = [{"value": NOBODY[:-6] + f"{n:06x}"} for n in range(20_000)]
    operations = [{"op": "remove", "path": "members", "value": gone[n : n + 1_000]} for n in range(0, 20_000, 1_000)]
    timed(lambda: rfc.patch(f"/Groups/{group}", *operations, status=204))


BODIES: dict[str, tuple[dict[str, Any], int]] = {
    "many values": ({"nickName": "x", "unknown": [1] * VALUES_MAX}, 413),
    "many names": (dict.fromkeys(map(str, range(VALUES_MAX // 2))), 413),
    "many marks": ({"nickName": "a" + "\u0300\u0316" * 100_000}, 400),
    "many marks in a name": ({"nickName": "x", "a" + "\u0300" * (MARKS_MAX + 1): 1}, 400),
}


@pytest.mark.promise(8)
@pytest.mark.parametrize("sent", BODIES)
def test_a_body_of_too_many_values_or_marks_is_refused(rfc: Source, sent: str) -> None:
    more, status = BODIES[sent]
    body = compact({"schemas": [USER], "userName": "sam", **more})
    refused = timed(lambda: rfc.ask("POST", "/Users", body))
    assert refused.status_code == status
    assert rfc.get("/Users")["totalResults"] == 0


def test_a_text_of_marks_as_languages_have_them_is_kept(rfc: Source) -> None:
    name = "a" + "\u0300\u0316" * (MARKS_MAX // 2) + "b"
    assert rfc.get(f"/Users/{rfc.user('sam', nickName=name)}")["nickName"] == name


def test_a_filter_with_too_many_marks_is_refused(rfc: Source) -> None:
    refused = rfc.get('/Users?filter=nickName eq "a' + "\u0300" * (MARKS_MAX + 1) + '"', status=400)
    assert refused["scimType"] == "invalidFilter"


def test_a_unique_value_is_measured_before_it_is_folded(rfc: Source, defined: Defined) -> None:
    defined.badge()
    body = {"schemas": [USER, BADGE], "userName": "sam", BADGE: {"number": "ﷺ" * 250_000}}
    assert timed(lambda: rfc.ask("POST", "/Users", compact(body))).status_code == 400


def test_no_number_of_patches_makes_a_resource_larger_than_a_body_may_be(rfc: Source) -> None:
    sam = rfc.user("sam", emails=emails(2))
    half = "x" * (DOCUMENT_BYTES_MAX // 2)
    rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "nickName", "value": half})
    before = rfc.get(f"/Users/{sam}")
    refused = rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "title", "value": half}, status=413)
    assert f"{DOCUMENT_BYTES_MAX} bytes" in refused["detail"]
    assert rfc.get(f"/Users/{sam}") == before


@pytest.mark.promise(8)
def test_a_filter_whose_terms_stand_for_too_many_comparisons_is_refused(rfc: Source, defined: Defined) -> None:
    parts = [{"name": f"part{n}", "type": "string"} for n in range(FILTER_COMPARISONS_MAX // 20 + 1)]
    attribute = {"name": "things", "type": "complex", "multiValued": True, "subAttributes": parts}
    defined.do(define_schema, {"id": BADGE, "attributes": [attribute]})
    defined.extend("User", BADGE)
    for endpoint in ("/Users/.search", "/.search"):
        asked = {"schemas": [SEARCH], "filter": " or ".join([f"{BADGE}:things pr"] * 20)}
        refused = timed(lambda: rfc.answer("POST", endpoint, asked, status=400))  # noqa: B023 - called at once
        assert refused["scimType"] == "tooMany"
