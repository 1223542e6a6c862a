"""Bulk (RFC 7644 §3.7): each operation authorised, atomic and reported by itself; references resolved or refused."""

import time
from typing import Any

import psycopg
import pytest

from identity.edge.runtime import Runtime
from scim.limits import BULK_OPERATIONS_MAX
from tests.scim.sources import AGENT, ENTERPRISE, ERROR, GROUP, PATCH, USER, Source, Sources
from tests.statement_counter import round_trips

REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
NOBODY = "00000000-0000-7000-8000-000000000000"

Report = dict[str, Any]


def bulk(source: Source, *operations: Any, status: int = 200, **more: Any) -> list[Report]:
    answered = source.post("/Bulk", {"schemas": [REQUEST], "Operations": list(operations), **more}, status=status)
    assert answered["schemas"] == [RESPONSE if status == 200 else ERROR]
    found: list[Report] = answered["Operations"] if status == 200 else [answered]
    return found


def user(name: str, bulk_id: str = "u", **more: Any) -> Report:
    return {
        "method": "POST",
        "path": "/Users",
        "bulkId": bulk_id,
        "data": {"schemas": [USER], "userName": name, **more},
    }


def group(name: str, bulk_id: str, *members: str) -> Report:
    data = {"schemas": [GROUP], "displayName": name, "members": [{"value": member} for member in members]}
    return {"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data}


def patched(path: str, *operations: Report, **more: Any) -> Report:
    return {"method": "PATCH", "path": path, "data": {"schemas": [PATCH], "Operations": list(operations)}, **more}


def statuses(reports: list[Report]) -> list[str]:
    return [report["status"] for report in reports]


def id_of(report: Report) -> str:
    return str(report["location"].rsplit("/", 1)[-1])


@pytest.mark.rfc("7644", "3.7", "3.7-6", "3.7-9", "3.7-12")
@pytest.mark.rfc("7644", "3.7.3", "3.7.3-1", "3.7.3-2", "3.7.3-3")
def test_every_method_is_done_and_reported_in_the_order_of_the_request(rfc: Source) -> None:
    first, second, third = rfc.user("first"), rfc.user("second"), rfc.user("third")
    made, put, patch, gone = bulk(
        rfc,
        user("sam", "qwerty"),
        {
            "method": "PUT",
            "path": f"/Users/{first}",
            "version": 'W/"1"',
            "data": {"schemas": [USER], "userName": "renamed"},
        },
        patched(f"/Users/{second}", {"op": "replace", "path": "title", "value": "VP"}, bulkId="named"),
        {"method": "DELETE", "path": f"/Users/{third}"},
    )
    sam = rfc.get(f"/Users/{id_of(made)}")
    assert made == {
        "method": "POST", "bulkId": "qwerty", "status": "201",
        "location": sam["meta"]["location"], "version": sam["meta"]["version"],
    }  # fmt: skip
    assert (put["status"], put["version"]) == ("200", 'W/"2"')
    assert (patch["status"], patch["bulkId"]) == ("200", "named")
    assert gone["status"] == "204"
    users = sam["meta"]["location"].removesuffix(id_of(made))
    assert [each["location"] for each in (put, patch, gone)] == [users + id_ for id_ in (first, second, third)]
    assert rfc.get(f"/Users/{first}")["userName"] == "renamed"
    assert rfc.get(f"/Users/{second}")["title"] == "VP"
    rfc.get(f"/Users/{third}", status=404)


@pytest.mark.rfc("7644", "3.7.3")
def test_the_operations_of_a_patch_may_stand_bare_as_the_rfc_shows_them(rfc: Source) -> None:
    sam = rfc.user("sam", title="VP")
    data = [{"op": "remove", "path": "title"}, {"op": "add", "path": "userName", "value": "Dave"}]
    assert statuses(bulk(rfc, {"method": "PATCH", "path": f"/Users/{sam}", "data": data})) == ["200"]
    assert rfc.get(f"/Users/{sam}")["userName"] == "Dave"


@pytest.mark.rfc("7644", "3.7.2", "3.7.2-1", "3.7.2-2")
@pytest.mark.rfc("7644", "3.7", "3.7-13")
def test_references_are_resolved_wherever_a_resource_is_named_backward_and_forward(rfc: Source) -> None:
    agent = {"schemas": [AGENT], "agentUserName": "bot", "owners": [{"value": "bulkId:boss"}]}
    old = rfc.group("Old", rfc.user("gone"))
    reports = bulk(
        rfc,
        group("Finance", "finance", "bulkId:sam", "bulkId:boss"),
        user("sam", "sam", **{ENTERPRISE: {"manager": {"value": "bulkId:boss"}}}, displayName="bulkId:boss"),
        user("boss", "boss"),
        {"method": "POST", "path": "/Agents", "bulkId": "bot", "data": agent},
        patched("/Users/bulkId:sam", {"op": "add", "path": "title", "value": "VP"}),
        patched(f"/Groups/{old}", {"op": "add", "path": "members", "value": [{"value": "bulkId:bot"}]}),
        patched(f"/Groups/{old}", {"op": "remove", "path": 'members[value eq "bulkId:bot"]'}),
        {"method": "PUT", "path": "/Groups/bulkId:finance", "data": {"schemas": [GROUP], "displayName": "Money"}},
        user("temp", "temp"),
        {"method": "DELETE", "path": "/Users/bulkId:temp"},
    )
    assert statuses(reports) == ["201"] * 4 + ["200"] * 4 + ["201", "204"]
    finance, sam, boss, bot = (id_of(report) for report in reports[:4])
    assert rfc.members(finance) == {sam, boss}
    assert rfc.get(f"/Users/{sam}")[ENTERPRISE]["manager"]["value"] == boss
    assert rfc.get(f"/Users/{sam}")["displayName"] == "bulkId:boss"  # a name is a name
    assert rfc.get(f"/Agents/{bot}")["owners"][0]["value"] == boss
    assert rfc.get(f"/Users/{sam}")["title"] == "VP"
    assert bot not in rfc.members(old)
    assert reports[4]["location"].endswith(f"/Users/{sam}")
    assert reports[7]["location"].endswith(f"/Groups/{finance}")


@pytest.mark.requirement("S19")
@pytest.mark.rfc("7644", "3.7.1", "3.7.1-1")
def test_circular_references_are_resolved_where_they_can_be(rfc: Source) -> None:
    agent = {"schemas": [AGENT], "agentUserName": "bot", "owners": [{"value": "bulkId:c"}]}
    reports = bulk(
        rfc,
        group("A", "a", "bulkId:b"),
        group("B", "b", "bulkId:a"),
        {"method": "POST", "path": "/Agents", "bulkId": "bot", "data": agent},
        group("C", "c", "bulkId:bot", "bulkId:sam"),
        user("sam", "sam", **{ENTERPRISE: {"manager": {"value": "bulkId:boss"}}}),
        user("boss", "boss", **{ENTERPRISE: {"manager": {"value": "bulkId:sam"}}}),
    )
    assert statuses(reports) == ["201"] * 6
    a, b, bot, c, sam, boss = map(id_of, reports)
    assert (rfc.members(a), rfc.members(b), rfc.members(c)) == ({b}, {a}, {bot, sam})
    assert rfc.get(f"/Agents/{bot}")["active"] is True
    managers = [rfc.get(f"/Users/{id_}")[ENTERPRISE]["manager"]["value"] for id_ in (sam, boss)]
    assert managers == [boss, sam]
    for report, path in zip(reports, ("/Groups", "/Groups", "/Agents", "/Groups", "/Users", "/Users"), strict=True):
        assert rfc.get(f"{path}/{id_of(report)}")["meta"]["version"] == report["version"]


@pytest.mark.promise(6)
def test_a_circle_that_cannot_be_closed_leaves_nobody_of_it_behind(rfc: Source) -> None:
    rfc.user("taken")
    started = time.monotonic()
    reports = bulk(
        rfc,
        user("one", "one", **{ENTERPRISE: {"manager": {"value": "bulkId:taken"}}}),
        user("taken", "taken", **{ENTERPRISE: {"manager": {"value": "bulkId:one"}}}),
        group("Self", "self", "bulkId:self"),
        user("bystander", "bystander"),
    )
    assert time.monotonic() - started < 1
    assert statuses(reports) == ["409", "409", "400", "201"]
    assert reports[1]["response"]["scimType"] == "uniqueness"
    assert "bulkId:taken" in reports[0]["response"]["detail"]
    assert rfc.get("/Users")["totalResults"] == 2
    assert rfc.get("/Groups")["totalResults"] == 0


@pytest.mark.requirement("S19")
def test_a_long_chain_and_a_large_circle_are_done_without_recursion(rfc: Source) -> None:
    def boss(n: int) -> Any:
        return {ENTERPRISE: {"manager": {"value": f"bulkId:{n}"}}}

    chain = [user(f"chain{n}", str(n), **(boss(n + 1) if n < 79 else {})) for n in range(80)]
    assert set(statuses(bulk(rfc, *chain))) == {"201"}
    circle = [user(f"circle{n}", str(n), **boss((n + 1) % 20)) for n in range(20)]
    assert set(statuses(bulk(rfc, *circle))) == {"201"}


@pytest.mark.rfc("7644", "3.7.3", "3.7.3-3", "3.7.3-4")
@pytest.mark.rfc("7644", "3.7", "3.7-2", "3.7-3", "3.7-4", "3.7-5", "3.7-7", "3.7-8", "3.7-11")
@pytest.mark.parametrize(
    ("operation", "status", "scim_type"),
    [
        (user("taken"), "409", "uniqueness"),
        ({**user("x"), "data": {"schemas": [USER]}}, "400", "invalidValue"),
        ({**user("x"), "bulkId": None}, "400", "invalidSyntax"),
        ({**user("x"), "bulkId": "x" * 300}, "400", "invalidValue"),
        ({**user("x"), "data": None}, "400", "invalidSyntax"),
        ({**user("x"), "data": [1]}, "400", "invalidSyntax"),
        ({"method": "PUT", "path": f"/Users/{NOBODY}"}, "400", "invalidSyntax"),
        ({"method": "PATCH", "path": f"/Users/{NOBODY}"}, "400", "invalidSyntax"),
        ({**user("x"), "method": "GET"}, "400", "invalidSyntax"),
        ({**user("x"), "method": None}, "400", "invalidSyntax"),
        ({**user("x"), "path": "/Users/7"}, "400", "invalidPath"),
        ({**user("x"), "path": "/Bulk"}, "400", "invalidPath"),  # a Bulk within a Bulk
        ({**user("x"), "path": "/Me"}, "400", "invalidPath"),
        ({**user("x"), "path": "/Users/.search"}, "400", "invalidPath"),
        ({**user("x"), "path": "https://elsewhere.example/Users"}, "400", "invalidPath"),
        ({**user("x"), "path": None}, "400", "invalidPath"),
        ({"method": "DELETE", "path": "/Users"}, "400", "invalidPath"),
        ({"method": "DELETE", "path": "/Users/not-an-id"}, "404", None),
        ({"method": "DELETE", "path": "/Users/bulkId:nobody"}, "400", "invalidValue"),
        (group("G", "g", "bulkId:nobody"), "400", "invalidValue"),
        (group("G", "g", "6a1f7c5e-7d44-4c7f-9d0e-0d9d1b6f8a11"), "400", "invalidValue"),
        (patched("/Groups/bulkId:x", {"op": "remove", "path": 'members[value eq "bulkId:y"]'}), "400", "invalidValue"),
    ],
)
def test_an_operation_with_one_fault_is_refused_by_itself_and_the_next_one_is_done(
    rfc: Source, operation: Report, status: str, scim_type: str | None
) -> None:
    rfc.user("taken")
    refused, done = bulk(rfc, operation, user("next", "next"))
    assert (refused["status"], refused["response"].get("scimType")) == (status, scim_type)
    assert (refused["response"]["schemas"], refused["response"]["status"]) == ([ERROR], status)
    assert refused["response"]["detail"]
    assert done["status"] == "201"


@pytest.mark.rfc("7644", "3.7", "3.7-6")
@pytest.mark.rfc("7644", "3.7.3", "3.7.3-2")
def test_a_version_is_a_precondition(rfc: Source) -> None:
    sam = rfc.user("sam")
    stale = {"method": "PUT", "path": f"/Users/{sam}", "version": 'W/"7"', "data": {"schemas": [USER], "userName": "x"}}
    refused, again = bulk(rfc, stale, user("sam"))
    assert (refused["status"], refused["location"].endswith(sam)) == ("412", True)
    assert (again["status"], "location" in again) == ("409", False)
    assert statuses(bulk(rfc, {"method": "DELETE", "path": f"/Users/{sam}", "version": 'W/"1"'})) == ["204"]


def test_what_refers_to_what_was_not_created_is_a_conflict(rfc: Source) -> None:
    rfc.user("taken")
    reports = bulk(
        rfc,
        user("taken", "sam"),
        group("Finance", "finance", "bulkId:sam"),
        {"method": "DELETE", "path": "/Groups/bulkId:finance"},
    )
    assert statuses(reports) == ["409", "409", "409"]
    assert "bulkId:sam" in reports[1]["response"]["detail"]
    assert rfc.get("/Groups")["totalResults"] == 0


@pytest.mark.requirement("S19")
@pytest.mark.rfc("7644", "3.7")
@pytest.mark.rfc("7644", "3.7.3", "3.7.3-1")
@pytest.mark.parametrize(("fail_on_errors", "expected"), [(1, ["201", "409"]), (2, ["201", "409", "201", "409"])])
def test_after_so_many_errors_nothing_more_is_tried(rfc: Source, fail_on_errors: int, expected: list[str]) -> None:
    reports = bulk(
        rfc, user("a", "1"), user("a", "2"), user("b", "3"), user("b", "4"), user("c", "5"), failOnErrors=fail_on_errors
    )
    assert statuses(reports) == expected
    assert rfc.get("/Users")["totalResults"] == expected.count("201")


@pytest.mark.rfc("7644", "3.7", "3.7-1", "3.7-10")
@pytest.mark.parametrize(
    ("body", "status", "scim_type"),
    [
        ({"schemas": [], "Operations": [user("a")]}, 400, "invalidSyntax"),
        ({"schemas": [REQUEST]}, 400, "invalidSyntax"),
        ({"schemas": [REQUEST], "Operations": []}, 400, "invalidSyntax"),
        ({"schemas": [REQUEST], "Operations": {}}, 400, "invalidSyntax"),
        ({"schemas": [REQUEST], "Operations": [user("a"), 7]}, 400, "invalidSyntax"),
        ({"schemas": [REQUEST], "Operations": [user("a"), {**user("b", "v"), "path": 7}]}, 400, "invalidSyntax"),
        ({"schemas": [REQUEST], "Operations": [user("a", "u"), user("b", "u")]}, 400, "invalidValue"),
        ({"schemas": [REQUEST], "Operations": [user("a")], "failOnErrors": 0}, 400, "invalidValue"),
        ({"schemas": [REQUEST], "Operations": [user("a")], "failOnErrors": True}, 400, "invalidValue"),
        ({"schemas": [REQUEST], "Operations": [user("a")], "failOnErrors": "1"}, 400, "invalidValue"),
        ({"schemas": [REQUEST], "Operations": [user("a", str(n)) for n in range(BULK_OPERATIONS_MAX + 1)]}, 413, None),
    ],
)
def test_a_bulk_with_one_fault_is_refused_whole_and_nothing_is_done(
    rfc: Source, body: Any, status: int, scim_type: str | None
) -> None:
    assert rfc.post("/Bulk", body, status=status).get("scimType") == scim_type
    assert rfc.get("/Users")["totalResults"] == 0


@pytest.mark.rfc("7644", "3.7.4", "3.7.4-1", "3.7.4-2", "3.7.4-3")
def test_what_is_advertised_is_what_is_enforced(rfc: Source, runtime: Runtime) -> None:
    advertised = rfc.get("/ServiceProviderConfig")["bulk"]
    assert advertised == {
        "supported": True,
        "maxOperations": BULK_OPERATIONS_MAX,
        "maxPayloadSize": runtime.body_bytes_max,
    }
    refused = rfc.post("/Bulk", b" " * (advertised["maxPayloadSize"] + 1), status=413)
    assert f"{advertised['maxPayloadSize']} bytes" in refused["detail"]
    many = [user("a", str(n)) for n in range(advertised["maxOperations"] + 1)]
    refused = rfc.post("/Bulk", {"schemas": [REQUEST], "Operations": many}, status=413)
    assert f"{advertised['maxOperations']} operations" in refused["detail"]
    gone = [{"method": "DELETE", "path": "/Users/nobody"} for _ in range(advertised["maxOperations"])]
    assert len(bulk(rfc, *gone, failOnErrors=1)) == 1


@pytest.mark.requirement("S19")
@pytest.mark.promise(4)
def test_every_operation_is_authorised_by_itself_and_no_bulk_reaches_over_the_wall(
    rfc: Source, okta: Source, rival: Source
) -> None:
    foreign, theirs = okta.user("foreign"), rival.user("theirs")
    reports = bulk(
        rfc,
        patched(f"/Users/{foreign}", {"op": "replace", "path": "title", "value": "x"}),
        {"method": "DELETE", "path": f"/Users/{theirs}"},
        group("G", "g", theirs),
        user("theirs", "ours"),
    )
    assert statuses(reports) == ["403", "404", "400", "201"]
    assert rival.get(f"/Users/{theirs}")["userName"] == "theirs"
    rfc.answer("POST", "/Bulk", {}, status=401, Authorization="Bearer nobody")


@pytest.mark.promise(6)
def test_what_is_done_and_what_is_refused_is_in_the_trail(rfc: Source, owner_url: str) -> None:
    rfc.user("taken")
    bulk(rfc, user("sam", "1"), user("taken", "2"), {"method": "GET", "path": "/Users"})
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute(f"SET app.tenant = '{rfc.tenant_id}'")
        rows = owner.execute(
            "SELECT type, reason, detail->>'operation' FROM events WHERE tenant_id = %s AND caller_kind = 'connection'"
            " ORDER BY id", [rfc.tenant_id]
        ).fetchall()  # fmt: skip
    assert rows == [
        ("user.created", None, None),
        ("user.created", None, None),
        ("scim.refused", "name_taken", "1"),
        ("scim.refused", "invalidSyntax", "2"),
    ]


def test_an_operation_that_the_database_does_not_answer_in_time_is_unavailable_by_itself(
    rfc: Source, owner_url: str
) -> None:
    sam = rfc.user("sam")
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute(f"SET app.tenant = '{rfc.tenant_id}'")
        owner.execute("SELECT id FROM principals WHERE id = %s FOR UPDATE", [sam])  # somebody else is at it
        reports = bulk(
            rfc, user("a", "a"), patched(f"/Users/{sam}", {"op": "add", "path": "title", "value": "x"}), user("b", "b")
        )
    assert statuses(reports) == ["201", "503", "201"]
    assert "title" not in rfc.get(f"/Users/{sam}")


@pytest.mark.promise(10)
def test_an_operation_costs_the_same_in_a_bulk_of_ten_and_of_a_hundred(rfc: Source, runtime: Runtime) -> None:
    rfc.user("first")
    costs = []
    for size in (10, 100):
        with round_trips(runtime.engine) as seen:
            people = [user(f"{size}-{n}", str(n), emails=[{"value": "a@x"}]) for n in range(size)]
            assert set(statuses(bulk(rfc, *people))) == {"201"}
        costs.append((len(seen) - 3) / size)  # BEGIN, who calls, COMMIT
    assert costs[0] == costs[1] <= 5  # BEGIN, who calls, the change, what tells of it, COMMIT


def test_a_dialect_reads_an_operation_as_it_reads_a_request(entra: Source, sources: Sources) -> None:
    reports = bulk(
        entra,
        user("boss", "boss", active="True"),
        user("sam", "sam", **{ENTERPRISE: {"manager": "bulkId:boss"}}),
        patched("/Users/bulkId:boss", {"op": "Replace", "path": "active", "value": "False"}),
    )
    assert statuses(reports) == ["201", "201", "200"]
    assert entra.get(f"/Users/{id_of(reports[0])}")["active"] is False
    manager = entra.get(f"/Users/{id_of(reports[1])}")[ENTERPRISE]["manager"]
    assert manager["value"] == id_of(reports[0])
