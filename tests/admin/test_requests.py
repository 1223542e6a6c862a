"""The provisioning log: what came, what changed, what was refused and why; never wrong about the outcome."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.actions.retention import sweep_expired
from identity.edge.runtime import Runtime
from identity.model.ids import TenantId
from identity.model.provisioning_log import KEPT_DAYS, KEPT_MAX
from identity.store.transaction import transaction
from tests.admin.conftest import Admin, Clock

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SECRET = "correct-horse-battery-staple"


@dataclass(frozen=True)
class Pushing:
    """A connection that pushes, and its log as an administrator reads it."""

    admin: Admin
    id: str
    token: str

    @property
    def http(self) -> FlaskClient:
        return self.admin.http

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json", **headers}
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        url = f"/t/{self.admin.tenant}/scim/v2{path}"
        return self.http.open(url, method=method, data=data, headers=sent)

    def patch(self, path: str, *operations: Any) -> TestResponse:
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def user(self, name: str, **more: Any) -> str:
        made = self.ask("POST", "/Users", {"schemas": [USER], "userName": name, **more})
        assert made.status_code == 201, made.text
        return str(json.loads(made.data)["id"])

    def log(self, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin.get(f"/connections/{self.id}/requests?limit=200{query}")["items"]
        return found


def push(admin: Admin, name: str = "entra", dialect: str = "entra") -> Pushing:
    made = admin.post("/connections", {"kind": "scim", "name": name, "dialect": dialect})
    return Pushing(admin, made["id"], made["token"])


@pytest.fixture
def source(acme: Admin) -> Pushing:
    return push(acme)


def test_a_create_tells_what_came_and_what_changed(source: Pushing) -> None:
    dana = source.user("Dana@x", externalId="7", password=SECRET)
    [entry] = source.log()
    assert (entry["method"], entry["path"], entry["resource_type"]) == ("POST", "/Users", "User")
    assert (entry["principal_id"], entry["name"], entry["connection_id"]) == (dana, "Dana@x", source.id)
    assert (entry["outcome"], entry["status"], entry["detail"], entry["duration_ms"] >= 0) == ("done", 201, None, True)
    assert entry["body"] == {"schemas": [USER], "userName": "Dana@x", "externalId": "7", "password": "***"}
    assert {change["attribute"]: change["new"] for change in entry["changes"]} == {
        "userName": "Dana@x",
        "externalId": "7",
    }


def test_a_patch_tells_each_attribute_before_and_after(source: Pushing) -> None:
    dana = source.user("dana", displayName="Dana")
    fox = {"op": "Replace", "path": "displayName", "value": "Fox"}
    off = {"op": "Replace", "path": "active", "value": "False"}
    assert source.patch(f"/Users/{dana}", fox, off).status_code == 200
    entry = source.log()[-1]
    assert (entry["method"], entry["path"], entry["status"]) == ("PATCH", "/Users/{id}", 200)
    assert entry["body"]["Operations"] == [fox, off]
    assert entry["changes"] == [
        {"attribute": "active", "old": None, "new": False},
        {"attribute": "displayName", "old": "Dana", "new": "Fox"},
    ]


def test_members_are_told_as_what_was_added_and_removed(source: Pushing) -> None:
    dana = source.user("dana")
    made = source.ask("POST", "/Groups", {"schemas": [GROUP], "displayName": "Files", "members": [{"value": dana}]})
    group = json.loads(made.data)["id"]
    removed = {"op": "Remove", "path": "members", "value": [{"value": dana}]}
    assert source.patch(f"/Groups/{group}", removed).status_code == 204
    _, created, patched = source.log()
    assert {"attribute": "members", "old": None, "new": {"added": [dana], "removed": []}} in created["changes"]
    assert patched["status"] == 204
    assert patched["changes"] == [{"attribute": "members", "old": None, "new": {"added": [], "removed": [dana]}}]


def test_a_put_and_a_delete_are_told(source: Pushing) -> None:
    dana = source.user("dana")
    source.ask("PUT", f"/Users/{dana}", {"schemas": [USER], "userName": "fox"})
    source.ask("DELETE", f"/Users/{dana}")
    _, put, delete = source.log(f"&principal={dana}")
    assert (put["status"], put["changes"]) == (200, [{"attribute": "userName", "old": "dana", "new": "fox"}])
    assert (delete["method"], delete["status"], delete["outcome"]) == ("DELETE", 204, "done")


def test_a_patch_that_changes_nothing_is_done_and_says_so(source: Pushing) -> None:
    dana = source.user("dana")
    source.patch(f"/Users/{dana}", {"op": "replace", "path": "userName", "value": "dana"})
    assert (source.log()[-1]["outcome"], source.log()[-1]["changes"]) == ("done", [])


Refuse = Callable[[Pushing, str], TestResponse]


@pytest.mark.parametrize(
    ("refuse", "status", "scim_type", "said"),
    [
        (lambda s, _: s.ask("POST", "/Users", {"schemas": [USER], "userName": "DANA"}), 409, "uniqueness", "taken"),
        (
            lambda s, d: s.patch(f"/Users/{d}", {"op": "add", "path": "shoeSize", "value": 1}),
            400,
            "invalidPath",
            "shoeS",
        ),
        (lambda s, _: s.ask("GET", '/Users?filter=shoeSize eq "1"'), 400, "invalidFilter", "shoesize"),
        (
            lambda s, _: s.ask("GET", "/Users/01a20baa-8dd2-742c-aea4-a52dab6a2d95"),
            404,
            None,
            "no resource with this id",
        ),
        (lambda s, d: s.ask("PUT", f"/Users/{d}", {"schemas": [USER]}), 400, "invalidValue", "required"),
        (lambda s, _: s.ask("POST", "/Users", b"{"), 400, "invalidSyntax", "not JSON"),
        (lambda s, d: s.ask("DELETE", f"/Users/{d}", **{"If-Match": '"9"'}), 412, None, "has changed"),
        (lambda s, _: s.ask("GET", "/Nothing/a"), 404, None, "no endpoint at this path"),
    ],
)
def test_a_refusal_tells_why_and_that_nothing_changed(
    source: Pushing, refuse: Refuse, status: int, scim_type: str | None, said: str
) -> None:
    dana = source.user("dana")
    answer = refuse(source, dana)
    entry = source.log()[-1]
    assert (answer.status_code, entry["status"], entry["outcome"]) == (status, status, "refused")
    assert (entry["scim_type"], entry["changes"]) == (scim_type, [])
    assert said in entry["detail"].lower() or said in entry["detail"]
    assert entry["request_id"] == answer.headers["X-Request-Id"]


def test_reads_are_not_kept(source: Pushing) -> None:
    dana = source.user("dana")
    for path in (f"/Users/{dana}", "/Users", "/Schemas", "/ServiceProviderConfig"):
        assert source.ask("GET", path).status_code == 200
    assert [entry["method"] for entry in source.log()] == ["POST"]


def test_what_is_answered_as_not_done_is_not_told_as_done(source: Pushing) -> None:
    dana = source.user("dana")
    assert source.ask("POST", f"/Users/{dana}", {}).status_code == 405
    assert source.ask("DELETE", "/Me").status_code == 501
    assert len(source.log()) == 1


def test_a_fault_of_ours_is_told_as_failed_and_changes_nothing(
    source: Pushing, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("ALTER TABLE events ADD CONSTRAINT broken CHECK (type <> 'user.created')")
    assert source.ask("POST", "/Users", {"schemas": [USER], "userName": "dana"}).status_code == 500
    [entry] = source.log()
    assert (entry["outcome"], entry["status"], entry["name"], entry["changes"]) == ("failed", 500, "dana", [])
    assert json.loads(source.ask("GET", "/Users").data)["totalResults"] == 0


def test_a_change_whose_entry_cannot_be_written_does_not_happen(source: Pushing, owner_url: str) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("ALTER TABLE provisioning_requests ADD CONSTRAINT broken CHECK (status <> 201)")
    assert source.ask("POST", "/Users", {"schemas": [USER], "userName": "dana"}).status_code == 500
    assert json.loads(source.ask("GET", "/Users").data)["totalResults"] == 0
    assert [entry["outcome"] for entry in source.log()] == ["failed"]


def test_the_log_is_filtered_by_who_what_came_of_it_and_when(source: Pushing, clock: Clock) -> None:
    dana = source.user("Dana@x")
    clock.advance(minutes=1)
    middle = clock.now
    source.ask("POST", "/Users", {"schemas": [USER], "userName": "dana@X"})
    fox = source.user("fox")
    by = {
        f"principal={dana}": 1,
        "name=DANA@x": 2,
        "outcome=refused": 1,
        "outcome=done": 2,
        f"since={middle.isoformat().replace('+00:00', 'Z')}": 2,
        f"until={middle.isoformat().replace('+00:00', 'Z')}": 1,
        f"principal={fox}&outcome=refused": 0,
    }
    assert {query: len(source.log(f"&{query}")) for query in by} == by
    first = source.admin.get(f"/connections/{source.id}/requests?limit=2")
    rest = source.admin.get(f"/connections/{source.id}/requests?after={first['next_cursor']}")
    assert first["items"] + rest["items"] == source.log()
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("query", ["principal=x", "outcome=maybe", "since=yesterday", "after=x", "colour=red"])
def test_a_question_that_is_malformed_is_refused(source: Pushing, query: str) -> None:
    source.admin.get(f"/connections/{source.id}/requests?{query}", status=400)


def test_a_log_is_its_connections_and_its_tenants_alone(source: Pushing, rival: Admin) -> None:
    other, theirs = push(source.admin, "okta", "okta"), push(rival)
    source.user("dana")
    assert (len(source.log()), other.log(), theirs.log()) == (1, [], [])
    source.http.get("/t/rival/scim/v2/Users?filter=x", headers={"Authorization": f"Bearer {source.token}"})
    assert theirs.log() == []
    rival.get(f"/connections/{source.id}/requests", status=404)


def test_the_log_is_kept_for_a_week(source: Pushing, runtime: Runtime, clock: Clock) -> None:
    source.user("old")
    clock.advance(days=KEPT_DAYS - 1)
    source.user("new")
    clock.advance(days=1, seconds=1)
    sweep(runtime, source)
    assert [entry["name"] for entry in source.log()] == ["new"]


def test_the_log_keeps_its_newest_rows(source: Pushing, runtime: Runtime, owner_url: str) -> None:
    source.user("first")
    fill = """
        INSERT INTO provisioning_requests (tenant_id, id, connection_id, at, method, path, outcome, status, duration_ms)
        SELECT tenant_id, CAST('ffffffff-ffff-7fff-8000-' || lpad(to_hex(n), 12, '0') AS uuid), connection_id, at,
               method, path, outcome, status, 0 FROM provisioning_requests, generate_series(1, %s) AS n"""
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant_id(runtime))])
        owner.execute(fill, [KEPT_MAX])
    assert source.log()[0]["name"] == "first"
    sweep(runtime, source)
    assert source.log()[0]["name"] is None


def tenant_id(runtime: Runtime) -> TenantId:
    found = runtime.tenants.get("acme")
    assert found is not None
    return found.id


def sweep(runtime: Runtime, source: Pushing) -> None:
    with transaction(runtime.engine, tenant_id(runtime)) as tx:
        sweep_expired(tx, now=runtime.clock())


def test_each_operation_of_a_bulk_is_told_by_itself(source: Pushing) -> None:
    def post(bulk_id: str, path: str, data: Any) -> dict[str, Any]:
        return {"method": "POST", "bulkId": bulk_id, "path": path, "data": data}

    operations = [
        post("d", "/Users", {"schemas": [USER], "userName": "dana", "password": SECRET}),
        post("e", "/Users", {"schemas": [USER], "userName": "DANA"}),
        post("g", "/Groups", {"schemas": [GROUP], "displayName": "Files", "members": [{"value": "bulkId:d"}]}),
        {"method": "DELETE", "path": "/Users/01a20baa-8dd2-742c-aea4-a52dab6a2d95"},
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
    answer = json.loads(source.ask("POST", "/Bulk", body).data)
    assert [one["status"] for one in answer["Operations"]] == ["201", "409", "201", "404"]
    log = source.log()
    assert [(one["path"], one["outcome"], one["status"], one["name"]) for one in log] == [
        ("/Bulk/Users", "done", 201, "dana"),
        ("/Bulk/Users", "refused", 409, "DANA"),
        ("/Bulk/Groups", "done", 201, "Files"),
        ("/Bulk/Users/{id}", "refused", 404, None),
    ]
    assert log[0]["principal_id"] == answer["Operations"][0]["location"].rsplit("/", 1)[-1]
    assert SECRET not in json.dumps(log)


def test_the_log_is_read_newest_first_and_in_a_span_of_time(acme: Admin, clock: Clock) -> None:
    source = push(acme)
    for number in range(4):
        clock.advance(seconds=1)
        source.user(f"user-{number}")
    rows = source.log()
    assert source.log("&order=desc") == rows[::-1]
    since, until = rows[1]["at"], rows[3]["at"]
    assert source.log(f"&since={since}&until={until}&order=desc") == rows[1:3][::-1]
    first = acme.get(f"/connections/{source.id}/requests?order=desc&limit=3")
    rest = acme.get(f"/connections/{source.id}/requests?order=desc&after={first['next_cursor']}")
    assert [*first["items"], *rest["items"]] == rows[::-1]
    assert push(acme, "other").log("&order=desc") == []
