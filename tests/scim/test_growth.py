"""A request of a source costs the same in a large directory: it reads what it asks for and nothing else."""

from collections.abc import Callable
from itertools import count

import psycopg
import pytest
from sqlalchemy import Engine

from identity.actions.retention import ROWS_IN_ONE_GO, sweep_expired
from identity.edge.runtime import Runtime
from identity.model.provisioning_log import KEPT_MAX
from identity.store.references import MEMBERS_SHOWN_MAX
from identity.store.transaction import transaction
from tests.conftest import Server
from tests.growth import (
    LARGE,
    PERSON,
    SMALL,
    grow,
    keep_first_plans,
    look,
    read_again_until,
    rows_read,
    wait_for_others,
)
from tests.scim.sources import USER, Source

WARM_UP = 4
MORE = 20  # the trees of the indexes may be a level deeper


def let_it_grow(engine: Engine, source: Source, sam: str, numbers: range) -> None:
    names = {"name": "'p' || n", "name_key": "'p' || n", "external_id": "'p' || n", "display_name_key": "'p' || n"}
    grow(engine, source.tenant_id, "principals", f"id = '{sam}'", numbers, id=PERSON, **names)
    grow(engine, source.tenant_id, "principal_emails", f"principal_id = '{sam}'", numbers,
         principal_id=PERSON, value_key="'p' || n")  # fmt: skip
    grow(engine, source.tenant_id, "group_members", f"member_id = '{sam}'", numbers, member_id=PERSON)


SAM = {"externalId": "ext-sam", "displayName": "Sam", "emails": [{"value": "sam@example.com", "type": "work"}]}


def asks_of(source: Source, sam: str, group: str) -> dict[str, Callable[[], object]]:
    """Return what is asked, by its name; each may be asked again and again."""
    numbers = count()
    ann = source.user("ann")
    cursor = source.get("/Users?count=1&cursor=")["nextCursor"]

    def change(operation: dict[str, object]) -> object:
        return source.patch(f"/Groups/{group}", operation, status=204)

    return {
        "get": lambda: source.get(f"/Users/{sam}"),
        "find by userName": lambda: source.get('/Users?filter=userName eq "sam"'),
        "find by externalId": lambda: source.get('/Users?filter=externalId eq "ext-sam"'),
        "find by emails.value": lambda: source.get('/Users?filter=emails.value eq "sam@example.com"'),
        "find a group by displayName": lambda: source.get(
            '/Groups?filter=displayName eq "Finance"&excludedAttributes=members'
        ),
        "PATCH": lambda: source.patch(f"/Users/{sam}", {"op": "replace", "path": "title", "value": f"{next(numbers)}"}),
        "PUT": lambda: source.put(
            f"/Users/{sam}", {"schemas": [USER], "userName": "sam", **SAM, "title": f"{next(numbers)}"}
        ),
        "create": lambda: source.user(f"user-{next(numbers)}"),
        "create and delete": lambda: source.delete(f"/Users/{source.user('gone')}"),
        "add and remove a member": lambda: (
            change({"op": "add", "path": "members", "value": [{"value": ann}]}),
            change({"op": "remove", "path": f'members[value eq "{ann}"]'}),
        ),
        "get a group without members": lambda: source.get(f"/Groups/{group}?excludedAttributes=members"),
        "first page": lambda: source.get("/Users?count=3"),
        "page at a cursor": lambda: source.get(f"/Users?count=3&cursor={cursor}"),
    }


@pytest.mark.promise(10)
@pytest.mark.parametrize(
    "what",
    [
        "get", "find by userName", "find by externalId", "find by emails.value", "find a group by displayName", "PATCH",
        "PUT", "create", "create and delete", "add and remove a member", "get a group without members", "first page",
        "page at a cursor",
    ],
)  # fmt: skip
def test_what_a_request_reads_does_not_grow_with_the_directory(
    server: Server, runtime: Runtime, rfc: Source, what: str
) -> None:
    keep_first_plans(server, runtime.engine)
    sam = rfc.user("sam", **SAM)
    group = rfc.group("Finance", sam, externalId="ext-finance")
    asks = asks_of(rfc, sam, group)
    let_it_grow(runtime.engine, rfc, sam, range(SMALL))
    look(server, runtime.engine)
    for _ in range(WARM_UP):
        asks[what]()
    with rows_read(runtime.engine) as before:
        asks[what]()
    let_it_grow(runtime.engine, rfc, sam, range(SMALL, LARGE))
    most = sum(before) + MORE
    assert read_again_until(runtime.engine, asks[what], most) <= most


LOG = """
INSERT INTO provisioning_requests (tenant_id, id, connection_id, at, method, path, outcome, status, duration_ms)
SELECT tenant_id, gen_random_uuid(), id, '2026-11-24 12:00Z', 'POST', '/Users', 'done', 201, 1
  FROM connections, generate_series(1, {rows}) WHERE tenant_id = '{tenant}'
"""


@pytest.mark.promise(8)
def test_what_the_sweep_of_the_provisioning_log_reads_does_not_grow_with_it(
    server: Server, runtime: Runtime, rfc: Source, owner_url: str
) -> None:
    keep_first_plans(server, runtime.engine)

    def fill(rows: int) -> None:
        with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
            owner.execute(f"SET app.tenant = '{rfc.tenant_id}'")
            owner.execute(LOG.format(rows=rows, tenant=rfc.tenant_id))

    def sweep() -> int:
        with rows_read(runtime.engine) as seen, transaction(runtime.engine, rfc.tenant_id) as tx:
            assert sweep_expired(tx, now=runtime.clock())
        return sum(seen)

    rfc.group("Finance", rfc.user("sam"))
    fill(KEPT_MAX + 5 * ROWS_IN_ONE_GO)
    look(server, runtime.engine)
    before = [sweep() for _ in range(WARM_UP)][-1]
    fill(3 * KEPT_MAX)
    wait_for_others(server)
    sweep()  # puts away what could not be put away before
    assert sweep() <= before + ROWS_IN_ONE_GO


@pytest.mark.promise(8)
def test_a_group_of_too_many_members_is_read_without_them(server: Server, runtime: Runtime, rfc: Source) -> None:
    sam = rfc.user("sam")
    group = rfc.group("Finance", sam)
    for start in range(0, MEMBERS_SHOWN_MAX, 2_000):  # one statement for all would take longer than one may
        let_it_grow(runtime.engine, rfc, sam, range(start, start + 2_000))
    look(server, runtime.engine)
    assert rfc.get(f"/Groups/{group}", 400)["scimType"] == "tooMany"
    assert rfc.get(f"/Groups/{group}?excludedAttributes=members")["displayName"] == "Finance"
