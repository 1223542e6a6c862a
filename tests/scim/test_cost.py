"""What a request costs in round trips, and that it costs the same as directories and groups grow."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from identity.edge.runtime import Runtime
from identity.model.principal import Email, Principal, Profile, Reference, Resource
from scim.limits import PAGE_SIZE_MAX
from tests.scim.sources import AGENT, USER, Source
from tests.scim.test_bulk import bulk, id_of
from tests.scim.test_bulk import user as bulk_user
from tests.statement_counter import round_trips

FULL = {
    "schemas": [USER],
    "userName": "sam",
    "externalId": "7",
    "displayName": "Sam",
    "emails": [{"value": "s@x", "type": "work", "primary": True}],
}

DETAILS = {key: value for key, value in FULL.items() if key in ("displayName", "emails")}
SHOWN = sorted(["schemas", "id", "userName", "active", "displayName", "emails", "groups", "meta"])

MEMBERS = """
WITH made AS (
    INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at)
    SELECT '{tenant}', gen_random_uuid(), 'user', 'active', 'u{mark}' || n, 'u{mark}' || n, '{{}}', now(), now()
      FROM generate_series(1, {number}) AS n
    RETURNING tenant_id, id)
INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
SELECT tenant_id, '{group}', id, now() FROM made
"""


def fill(owner_url: str, source: Source, group: str, number: int) -> None:
    """Fill a group over a connection of its own, whose plans were not made for empty tables."""
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(f"SET app.tenant = '{source.tenant_id}'")
        mark = uuid4().hex[:8]
        owner.execute(MEMBERS.format(tenant=source.tenant_id, group=group, number=number, mark=mark))


def warm(source: Source) -> str:
    """Let the process learn the tenant, as it does once in its life."""
    return source.user("first")


@pytest.mark.promise(10)
def test_a_create_and_a_patch_stay_within_eight_round_trips(rfc: Source, runtime: Runtime) -> None:
    first, group = warm(rfc), rfc.group("Finance")
    with round_trips(runtime.engine) as create:
        sam = rfc.post("/Users", FULL)["id"]
    with round_trips(runtime.engine) as rename:
        rfc.patch(f"/Users/{first}", {"op": "replace", "path": "displayName", "value": "First"})
    with round_trips(runtime.engine) as join:
        rfc.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": sam}]}, status=204)
    assert max(len(create), len(rename), len(join)) <= 8


@pytest.mark.promise(10)
def test_a_patch_of_what_has_rows_beside_it_stays_within_them_too(rfc: Source, runtime: Runtime) -> None:
    sam = warm(rfc)
    with round_trips(runtime.engine) as readdress:
        rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "emails", "value": [{"value": "new@x"}]})
    with round_trips(runtime.engine) as deactivate:
        rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "active", "value": False})
    assert max(len(readdress), len(deactivate)) <= 8


@pytest.mark.promise(10)
def test_a_request_that_changes_profile_owners_and_state_writes_the_principal_once(
    rfc: Source, runtime: Runtime
) -> None:
    dana, sam = warm(rfc), rfc.user("sam")
    bot = rfc.post("/Agents", {"schemas": [AGENT], "agentUserName": "bot", "owners": [{"value": dana}]})
    changes = {"displayName": "Bot", "owners": [{"value": sam}], "active": False}
    with round_trips(runtime.engine) as seen:
        changed = rfc.patch(f"/Agents/{bot['id']}", {"op": "replace", "value": changes})
    assert [bot["meta"]["version"], changed["meta"]["version"]] == ['W/"1"', 'W/"2"']
    updates = [statement for statement in seen.statements if statement.startswith("UPDATE principals")]
    assert (len(updates), len(seen)) == (1, 9), seen.statements


@pytest.mark.promise(10)
def test_giving_an_agent_another_owner_stays_within_them_too(rfc: Source, runtime: Runtime) -> None:
    dana, sam = warm(rfc), rfc.user("sam")
    agent = {"schemas": [AGENT], "agentUserName": "bot", "owners": [{"value": dana}]}
    with round_trips(runtime.engine) as create:
        bot = rfc.post("/Agents", agent)["id"]
    with round_trips(runtime.engine) as hand_over:
        rfc.patch(f"/Agents/{bot}", {"op": "replace", "path": "owners", "value": [{"value": sam}]})
    assert max(len(create), len(hand_over)) <= 8


@pytest.mark.promise(10)
def test_a_get_and_a_filter_stay_within_four_round_trips(rfc: Source, runtime: Runtime) -> None:
    sam = warm(rfc)
    for path in (f"/Users/{sam}", "/Users?filter=userName%20eq%20%22first%22", f"/Users?count={PAGE_SIZE_MAX}"):
        with round_trips(runtime.engine) as seen:
            rfc.get(path)
        assert len(seen) <= 4, seen.statements


@pytest.mark.promise(10)
def test_changing_one_member_costs_the_same_in_a_group_of_ten_and_of_ten_thousand(
    rfc: Source, runtime: Runtime, owner_url: str
) -> None:
    sam, small, large = warm(rfc), rfc.group("small"), rfc.group("large")
    fill(owner_url, rfc, small, 10)
    fill(owner_url, rfc, large, 10_000)
    operations: list[Any] = [
        {"op": "add", "path": "members", "value": [{"value": sam}]},
        {"op": "remove", "path": f'members[value eq "{sam}"]'},
        {"op": "add", "path": "members", "value": [{"value": sam}]},
        {"op": "remove", "path": "members", "value": [{"value": sam}]},
        {"op": "replace", "path": "displayName", "value": "renamed"},
    ]
    costs = []
    for group in (small, large):
        with round_trips(runtime.engine) as seen:
            for operation in operations:
                status = 200 if operation["path"] == "displayName" else 204
                rfc.patch(f"/Groups/{group}", operation, status=status)
            rfc.get(f"/Groups/{group}?excludedAttributes=members")
        costs.append((len(seen), seen.rows))
    assert costs[0] == costs[1]


def test_a_group_read_without_its_members_does_not_touch_their_rows(rfc: Source, runtime: Runtime) -> None:
    group = rfc.group("Finance", warm(rfc))
    with round_trips(runtime.engine) as seen:
        rfc.get(f"/Groups/{group}?excludedAttributes=members")
        rfc.get("/Groups?excludedAttributes=members")
        rfc.get("/Groups?attributes=displayName")
    assert not [statement for statement in seen.statements if "group_members" in statement]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of every model that has been made."""
    made: list[str] = []
    for model in (Principal, Profile, Email, Reference, Resource):
        make = model.__init__

        def noted(self: Any, *args: Any, _make: Any = make, **more: Any) -> None:
            made.append(type(self).__name__)
            _make(self, *args, **more)

        monkeypatch.setattr(model, "__init__", noted)
    return made


@pytest.mark.promise(10)
def test_a_page_of_a_hundred_full_users_is_five_statements_at_most_and_builds_no_model(
    rfc: Source, runtime: Runtime, models: list[str]
) -> None:
    people = [id_of(report) for report in bulk(rfc, *(bulk_user(f"u{n}", f"{n}", **DETAILS) for n in range(100)))]
    rfc.group("Finance", *people)
    for path in ("/Users?count=100", "/Users?count=100&cursor="):
        models.clear()
        with round_trips(runtime.engine) as seen:
            page = rfc.get(path)
        assert [sorted(user) for user in page["Resources"]] == [SHOWN] * 100
        assert len(seen) <= 5, seen.statements
        assert models == []
    rfc.user("one-more")
    assert {"Principal", "Profile", "Resource"} <= set(models)  # so they would have been seen
