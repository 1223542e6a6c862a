"""Pages begin at their place in an index: the statement that finds one walks over nobody before it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Engine, event

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.provisioning import find_principals
from identity.actions.tenants import create_tenant
from identity.model.access import Caller, CallerKind
from identity.model.ids import TenantId
from identity.model.listing import Listing, Order, Position, SortKey
from identity.model.principal import Kind
from identity.model.query import ALWAYS, Operand
from identity.store.transaction import make_engine, transaction
from tests.conftest import Server

CALLER = Caller(CallerKind.WORKER, "tests", "request-of-tests")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PERSON = "('00000000-0000-7000-8000-' || lpad(to_hex({n}), 12, '0'))::uuid"
PEOPLE = f"""
INSERT INTO principals (tenant_id, id, kind, state, name, name_key, external_id, display_name, display_name_key,
                        document, created_at, updated_at)
SELECT '{{tenant}}', {PERSON.format(n="n")}, 'user', 'active', 'u' || n, 'u' || lpad(n::text, 6, '0'),
       'e' || lpad(n::text, 6, '0'), 'd' || n, 'd' || lpad(n::text, 6, '0'), '{{{{}}}}', now(), now()
  FROM generate_series({{first}}, {{first}} + 499) AS n
"""
MIDDLE = UUID("00000000-0000-7000-8000-000000002710")  # the 10,000th


TENANT = TenantId(UUID("11111111-1111-7111-8111-111111111111"))


@contextmanager
def crowded(server: Server) -> Iterator[tuple[Engine, str]]:
    """A database with two tenants of 20,000 people each, and its owner's URL."""
    name = server.copy()
    built = make_engine(server.url(name, role="identity_app"))
    tenants = [TenantId(uuid4()), TENANT]
    for tenant_id in tenants:
        with transaction(built, tenant_id) as tx:
            slug = f"tenant-{tenant_id.hex[:8]}"
            create_tenant(
                tx, slug=slug, display_name=slug, encryption=EnvelopeEncryption(bytes(32)), caller=CALLER, now=NOW
            )
    owner_url = server.url(name).replace("+psycopg", "")
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for tenant_id in tenants:
            owner.execute(f"SET app.tenant = '{tenant_id}'")
            for first in range(1, 20_000, 500):  # each is counted in one row, a version for each until the commit
                owner.execute(PEOPLE.format(tenant=tenant_id, first=first))
        owner.execute("ANALYZE principals")
    yield built, owner_url
    built.dispose()
    server.drop(name)


@pytest.fixture(scope="module")
def engine(server: Server) -> Iterator[Engine]:
    """A crowded database that is only read."""
    with crowded(server) as (built, _):
        yield built


def explained(engine: Engine, listing: Listing) -> tuple[list[UUID], int]:
    """Return who is on a page, and how many rows and index entries the plan reads to find them."""
    read: list[int] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "total" in statement:
            plan = cursor.connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).fetchone()
            read.append(rows_scanned(plan[0][0]["Plan"]))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        with transaction(engine, TENANT) as tx:
            found = find_principals(tx, listing, caller=CALLER)
    finally:
        event.remove(engine, "before_cursor_execute", explain)
    return [UUID(resource.id) for resource in found.resources], sum(read)


def rows_scanned(plan: dict[str, Any]) -> int:
    """Return the rows that the scans of a plan touch: those that they hand on, and those that they throw away."""
    rows = 0
    if "Relation Name" in plan:
        thrown_away = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        rows = int((plan["Actual Rows"] + thrown_away) * plan["Actual Loops"])
    return rows + sum(rows_scanned(child) for child in plan.get("Plans", ()))


def by(path: str, *, case_exact: bool = False) -> SortKey:
    return SortKey(Operand((path,), case_exact=case_exact))


@pytest.mark.promise(10)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("key", "value"),
    [(None, None), (by("userName"), "u010000"), (by("displayName"), "d010000"), (by("id", case_exact=True), MIDDLE)],
)
def test_a_page_in_the_middle_of_a_large_list_reads_what_is_on_it(
    engine: Engine, key: SortKey | None, value: Any, descending: bool, backward: bool
) -> None:
    if key is None and descending:
        return  # without a key there is no order to turn round
    order = None if key is None else Order({Kind.USER: key}, descending)
    listing = Listing(
        {Kind.USER: ALWAYS}, limit=100, order=order, beyond=Position(value, MIDDLE), backward=backward
    )  # fmt: skip
    found, read = explained(engine, listing)
    onward = descending is backward
    expected = range(10_001, 10_101) if onward else range(9_999, 9_899, -1)
    ids = [UUID(f"00000000-0000-7000-8000-{n:012x}") for n in expected]
    assert found == (ids[::-1] if backward else ids)
    assert read < 1_000


def test_whoever_has_no_value_is_found_beyond_those_who_have(server: Server) -> None:
    last = UUID("00000000-0000-7000-8000-000000004e1b")  # the 19,995th
    listing = Listing(
        {Kind.USER: ALWAYS}, limit=10, order=Order({Kind.USER: by("displayName")}), beyond=Position("d019995", last)
    )
    with crowded(server) as (engine, owner_url):
        with psycopg.connect(owner_url, autocommit=True) as owner:
            owner.execute(f"SET app.tenant = '{TENANT}'")
            owner.execute(f"UPDATE principals SET display_name_key = NULL WHERE id < {PERSON.format(n=51)}")
        found, read = explained(engine, listing)
    assert [int(id_.hex[-12:], 16) for id_ in found] == [19_996, 19_997, 19_998, 19_999, 20_000, 1, 2, 3, 4, 5]
    assert read < 1_000
