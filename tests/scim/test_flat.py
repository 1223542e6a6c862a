"""Lists cost the same as a directory grows: totals are kept, and deep pages begin where the one before ended."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from identity.edge.runtime import Runtime
from tests.scim.sources import AGENT, USER, Clock, Source
from tests.scim.test_bulk import bulk, user
from tests.statement_counter import round_trips

pytestmark = pytest.mark.promise(10)

PEOPLE = """
INSERT INTO principals (tenant_id, id, kind, connection_id, state, name, name_key, display_name, display_name_key,
                        document, created_at, updated_at)
SELECT '{tenant}', ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'user',
       (SELECT id FROM connections WHERE tenant_id = '{tenant}' LIMIT 1), 'active', 'u' || n, 'u' || n,
       'd' || n % 100, 'd' || n % 100, jsonb_build_object('userName', 'u' || n), now(), now()
  FROM generate_series({first}, {last}) AS n
"""


def fill(owner_url: str, source: Source, first: int, last: int) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(f"SET app.tenant = '{source.tenant_id}'")
        owner.execute(PEOPLE.format(tenant=source.tenant_id, first=first, last=last))
        owner.execute("ANALYZE principals")


def total(source: Source, path: str) -> int:
    return int(source.get(f"{path}?count=0")["totalResults"])


def ids(page: Any) -> list[str]:
    return [found["id"] for found in page["Resources"]]


def test_the_total_follows_whatever_creates_and_deletes_in_each_tenant_and_type(
    rfc: Source, rival: Source, owner_url: str
) -> None:
    sam = rfc.user("sam")
    rfc.post("/Users", {"schemas": [USER], "userName": "SAM"}, status=409)  # refused, so never counted
    rfc.group("Finance", sam)
    rfc.post("/Agents", {"schemas": [AGENT], "agentUserName": "bot"})
    rival.user("sam")
    bulk(rfc, user("a", "a"), user("a", "b"), user("c", "c"))
    fill(owner_url, rfc, 1, 10)
    assert [total(rfc, path) for path in ("/Users", "/Groups", "/Agents", "/ServiceAccounts")] == [13, 1, 1, 0]
    assert (total(rival, "/Users"), total(rival, "/Groups")) == (1, 0)
    rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "active", "value": False})  # he is still there
    assert total(rfc, "/Users") == 13
    rfc.delete(f"/Users/{sam}")
    rfc.delete(f"/Users/{sam}", status=404)
    assert total(rfc, "/Users") == 12
    assert rfc.get("/Users?filter=userName%20pr")["totalResults"] == 12


def test_the_total_is_right_when_many_create_and_delete_at_once(rfc: Source, owner_url: str) -> None:
    old = [rfc.user(f"old{n}") for n in range(8)]

    def change(n: int) -> None:
        client = Source(rfc.http.application.test_client(), rfc.tenant, rfc.token, rfc.tenant_id)
        for m in range(5):
            client.user(f"new{n}-{m}")
        client.delete(f"/Users/{old[n]}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(8)))
    assert total(rfc, "/Users") == 40


def test_the_total_costs_no_count(rfc: Source, runtime: Runtime) -> None:
    rfc.user("sam")
    with round_trips(runtime.engine) as seen:
        rfc.get("/Users?count=1")
    assert not [statement for statement in seen.statements if "count(*)" in statement]
    assert len(seen) <= 4


PAGE = 200


def page(source: Source, start: int, path: str = "/Users") -> list[str]:
    return ids(source.get(f"{path}?startIndex={start}&count={PAGE}&attributes=userName"))


def test_who_pages_in_order_walks_over_nobody_again(
    rfc: Source, rival: Source, runtime: Runtime, owner_url: str
) -> None:
    fill(owner_url, rfc, 1, 3_000)
    fill(owner_url, rival, 5_001, 5_100)
    seen = [page(rfc, start) for start in range(1, 3_001, PAGE)]
    assert seen == [[f"00000000-0000-7000-8000-{n:012x}" for n in range(s, s + PAGE)] for s in range(1, 3_001, PAGE)]
    with round_trips(runtime.engine) as trips:
        page(rfc, 2_801)
    assert "principals.id > " in "".join(trips.statements)  # from where the page before ended
    assert page(rfc, 3_001) == []
    assert rfc.get("/Users?startIndex=3001")["totalResults"] == 3_000


def test_what_is_deleted_meanwhile_makes_a_deep_page_leave_nobody_out(rfc: Source, owner_url: str) -> None:
    fill(owner_url, rfc, 1, 2_000)
    everybody = [page(rfc, start) for start in range(1, 1_601, PAGE)]
    for gone in everybody[0][:3]:
        rfc.delete(f"/Users/{gone}")
    following = page(rfc, 1_601)
    assert following[0] == f"00000000-0000-7000-8000-{1_601:012x}"  # counted anew, it would be the 1,604th
    rfc.delete(f"/Users/{following[-1]}")  # the anchor itself
    assert page(rfc, 1_801)[0] == f"00000000-0000-7000-8000-{1_801:012x}"


def test_near_the_front_and_after_a_while_an_index_is_what_it_says(
    rfc: Source, okta: Source, runtime: Runtime, owner_url: str
) -> None:
    fill(owner_url, rfc, 1, 2_000)
    for start in range(1, 2_001, PAGE):
        page(rfc, start)
    rfc.delete("/Users/00000000-0000-7000-8000-000000000001")
    assert page(rfc, 401)[0] == f"00000000-0000-7000-8000-{402:012x}"
    assert page(okta, 1_601)[0] == f"00000000-0000-7000-8000-{1_602:012x}"  # another connection counts for itself
    assert page(rfc, 1_651)[0] == f"00000000-0000-7000-8000-{1_651:012x}"  # on from the nearest anchor
    assert isinstance(runtime.clock, Clock)
    runtime.clock.now += timedelta(minutes=11)
    assert page(rfc, 1_601)[0] == f"00000000-0000-7000-8000-{1_602:012x}"


def test_a_filtered_or_sorted_list_is_counted_out(rfc: Source, owner_url: str) -> None:
    fill(owner_url, rfc, 1, 2_000)
    for start in range(1, 2_001, PAGE):
        page(rfc, start)
    assert page(rfc, 1_601, "/Users") == ids(
        rfc.get(f"/Users?startIndex=1601&count={PAGE}&attributes=userName&sortBy=id")
    )
    assert ids(rfc.get(f"/Users?startIndex=1601&count={PAGE}&attributes=userName&filter=id%20pr")) == page(rfc, 1_601)


def test_a_page_in_the_middle_costs_the_same_statements_and_rows_as_the_first(
    rfc: Source, runtime: Runtime, owner_url: str
) -> None:
    fill(owner_url, rfc, 1, 3_000)
    page(rfc, 1)  # the process learns the tenant
    costs = []
    for start in (1, 1_401, 1_601):
        with round_trips(runtime.engine) as seen:
            page(rfc, start)
        costs.append((len(seen), seen.rows))
    assert costs[0] == costs[1] == costs[2]
