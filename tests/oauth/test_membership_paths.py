"""The way from a group down to its member, over groups of any shape: right, the shortest, and as cheap as looking."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine

from identity.model.lifecycle import State
from identity.model.nesting import NESTED_MAX, NESTING_MAX
from identity.store.nesting import is_member, memberships_hold, path_to
from tests.conftest import Server
from tests.fixtures import Tenant, TwoTenants
from tests.growth import look
from tests.oauth.test_law import read_by_each

Edge = tuple[int, int]
PLANT = """
WITH made AS (
    INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at)
    SELECT :tenant, id, 'group', state, CAST(id AS text), CAST(id AS text), '{}', now(), now()
      FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[])) AS made (id, state))
INSERT INTO group_members (tenant_id, group_id, member_id, nested_in, added_at)
SELECT :tenant, group_id, member_id, CASE WHEN member_id <> CAST(:member AS uuid) THEN group_id END, now()
  FROM unnest(CAST(:groups AS uuid[]), CAST(:members AS uuid[])) AS edge (group_id, member_id)
"""
ASKED = "(SELECT CAST(:group AS uuid) AS group_id, CAST(:member AS uuid) AS member_id OFFSET 0) AS asked"
LOOK = f"SELECT {is_member('asked.group_id', 'asked.member_id')} FROM {ASKED}"
FIND = f"SELECT {path_to('asked.group_id', 'asked.member_id')} FROM {ASKED}"
HOLDS = f"SELECT {memberships_hold('CAST(:path AS jsonb)')}"


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of a tenant by number; 0 is the one that is asked about, and Sam is the member."""

    tenant: Tenant
    ids: Mapping[int, UUID]

    @property
    def asked(self) -> dict[str, UUID]:
        return {"group": self.ids[0], "member": self.tenant.seeded.sam}

    def path(self) -> list[dict[str, Any]] | None:
        [(found,)], [(path,)] = self.tenant.sql(LOOK, **self.asked), self.tenant.sql(FIND, **self.asked)
        assert found == (path is not None)
        return None if path is None else list(path)

    def holds(self, path: list[dict[str, Any]]) -> bool:
        [(holds,)] = self.tenant.sql(HOLDS, path=json.dumps(path))
        return bool(holds)


def most_read(engine: Engine, ask: Callable[[], object]) -> int:
    """Return how many rows and index entries are read at most by one statement, asked for the second time."""
    ask()
    with read_by_each(engine) as seen:
        ask()
    return max(read for _, read in seen)


def plant(tenant: Tenant, edges: list[Edge], holders: set[int], suspended: frozenset[int] = frozenset()) -> Groups:
    """Write groups with these within each other, and Sam in those of ``holders``."""
    ids = {number: uuid4() for number in sorted({0, *holders, *(number for edge in edges for number in edge)})}
    pairs = [(ids[outer], ids[inner]) for outer, inner in edges] + [(ids[one], tenant.seeded.sam) for one in holders]
    tenant.sql(
        PLANT,
        ids=list(ids.values()),
        states=[State.SUSPENDED if number in suspended else State.ACTIVE for number in ids],
        member=tenant.seeded.sam,
        groups=[outer for outer, _ in pairs],
        members=[inner for _, inner in pairs],
    )
    return Groups(tenant, ids)


def distance(edges: list[Edge], holders: set[int], suspended: frozenset[int]) -> int | None:
    """Return how many levels below group 0 the member is, by breadth-first search."""
    seen, waiting = {0: 0}, deque([0])
    while waiting:
        here = waiting.popleft()
        if here in suspended:
            continue
        if here in holders:
            return seen[here] if seen[here] <= NESTING_MAX else None
        for inner in [inner for outer, inner in edges if outer == here and inner not in seen]:
            seen[inner] = seen[here] + 1
            waiting.append(inner)
    return None


def test_a_path_is_found_where_there_is_one_and_is_the_shortest_over_random_groups(acme: Tenant) -> None:
    lengths = set()
    for number in range(60):
        dice = Random(number)
        size = dice.randint(1, 14)
        both = [(outer, inner) for outer in range(size) for inner in range(size) if outer != inner]
        edges = dice.sample(both, min(len(both), dice.randint(0, 2 * size)))
        holders = set(dice.sample(range(size), dice.randint(0, min(3, size))))
        suspended = frozenset(dice.sample(range(size), dice.randint(0, 1)))
        groups = plant(acme, edges, holders, suspended)
        path, expected = groups.path(), distance(edges, holders, suspended)
        assert (None if path is None else len(path) - 1) == expected, f"groups {number}"
        if path is not None:
            check_connected(groups, path)
            assert groups.holds(path)
        lengths.add(expected)
    assert lengths >= {None, 0, 1, 2, 3}, "the groups show nothing"


def check_connected(groups: Groups, path: list[dict[str, Any]]) -> None:
    """Hold a path to lead from the group to the member, over rows that are there."""
    below = {each["g"]: each["m"] for each in path}
    here = str(groups.ids[0])
    for _ in path:
        here = below.pop(here)
    assert here == str(groups.tenant.seeded.sam)
    kept = {(each["g"], each["m"]): each["i"] for each in path}
    rows = groups.tenant.sql("SELECT group_id, member_id, id FROM group_members WHERE tenant_id = :tenant")
    assert kept.items() <= {(str(group), str(member)): str(id_) for group, member, id_ in rows}.items()


# --- cost ------------------------------------------------------------------------------------------------------


def layers(number: int, width: int) -> Iterator[Edge]:
    """Yield each group of a layer within each of the layer above; group 0 is above the first."""
    above = [0]
    for layer in range(number):
        here = [1 + layer * width + one for one in range(width)]
        yield from ((outer, inner) for outer in above for inner in here)
        above = here


SHAPES: dict[str, tuple[list[Edge], int]] = {
    "alone": ([], 0),
    "as many as may be below one": ([(0, inner) for inner in range(1, NESTED_MAX + 1)], NESTED_MAX),
    "as deep as may be": ([(level, level + 1) for level in range(NESTING_MAX)], NESTING_MAX),
    "diamonds": (list(layers(NESTING_MAX, 2)), 2 * NESTING_MAX),
    "layers that are in all of the layer above": (list(layers(NESTING_MAX, 20)), 20 * NESTING_MAX),
    "two wide layers": (list(layers(2, 100)), 200),
    "a circle": ([(level, (level + 1) % 8) for level in range(8)], 7),
    "each in each other": ([(outer, inner) for outer in range(20) for inner in range(20) if outer != inner], 19),
}
"""Groups within each other, and the one that Sam is in."""


@pytest.mark.promise(10)
@pytest.mark.parametrize("is_in", [True, False], ids=["in the last", "in none"])
@pytest.mark.parametrize("shape", SHAPES)
def test_over_no_shape_of_groups_does_a_path_cost_much_more_than_the_look_whether_there_is_one(
    server: Server, two_tenants: TwoTenants, shape: str, *, is_in: bool
) -> None:
    (edges, last), engine = SHAPES[shape], two_tenants.runtime.engine
    groups = plant(two_tenants.acme, edges, {last} if is_in else set())
    look(server, engine)
    path = groups.path()
    assert (path is not None) is is_in
    looked = most_read(engine, lambda: two_tenants.acme.sql(LOOK, **groups.asked))
    found = most_read(engine, lambda: two_tenants.acme.sql(FIND, **groups.asked))
    assert found <= 2 * looked + 6 * len(path or ())
    if path is not None:
        assert len(path) <= NESTING_MAX + 1
        assert most_read(engine, lambda: groups.holds(path)) <= 4 * len(path)
