"""Members are rows: what changes them, what is refused, and that the cost does not depend on the group."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from identity.model.errors import InvalidRequest
from identity.model.lifecycle import Transition
from identity.model.membership import MemberChange
from identity.model.principal import Kind
from tests.actions.sources import (
    Source,
    administrator,
    count,
    digest,
    execute,
    last_told,
    onlooker,
    principal,
    rows,
    work,
)
from tests.fixtures import Tenant
from tests.statement_counter import round_trips

MEMBERS = """
WITH made AS (
    INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at)
    SELECT '{tenant}', gen_random_uuid(), 'user', 'active', '{mark}' || n, '{mark}' || n, '{{}}', now(), now()
      FROM generate_series(1, {number}) AS n
    RETURNING tenant_id, id)
INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
SELECT tenant_id, '{group}', id, now() FROM made
"""


def fill(tenant: Tenant, group: UUID, number: int) -> None:
    """Fill a group over a connection of its own, whose plans were not made for empty tables."""
    with onlooker(tenant) as connection:
        mark = uuid4().hex
        execute(connection, MEMBERS.format(tenant=tenant.seeded.id, group=group, number=number, mark=mark))


# --- deltas ----------------------------------------------------------------------------------------------------


def test_members_come_and_go_by_deltas_and_each_change_is_one_version(source: Source, acme: Tenant) -> None:
    one, two, three = (source.user(name) for name in ("one", "two", "three"))
    group = source.group("team", one)
    source.join(group, two, three)
    source.leave(group, one)
    assert source.members(group) == {two, three}
    source.set_members(group, one, two)
    assert source.members(group) == {one, two}
    source.set_members(group)
    assert source.members(group) == set()
    found = principal(acme, group)
    assert found is not None and found.version == 5


def test_who_is_already_in_or_already_out_changes_nothing(source: Source, acme: Tenant) -> None:
    one, two = source.user("one"), source.user("two")
    group = source.group("team", one)
    before = digest(acme)
    source.join(group, one)
    source.leave(group, two)
    source.set_members(group, one)
    assert digest(acme) == before


def test_the_same_set_with_one_exchanged_writes_two_rows_and_leaves_the_others(source: Source, acme: Tenant) -> None:
    people = [source.user(f"p{number}") for number in range(5)]
    group = source.group("team", *people[:4])
    query = "SELECT member_id, xmin::text FROM group_members WHERE group_id = :id"
    before = set(rows(acme, query, id=group))
    source.set_members(group, *people[1:])
    after = set(rows(acme, query, id=group))
    assert (len(before - after), len(after - before)) == (1, 1)


def test_a_change_of_members_is_told_with_their_ids(source: Source, acme: Tenant) -> None:
    one, two = source.user("one"), source.user("two")
    group = source.group("team", one)
    source.amend(Kind.GROUP, group, members=MemberChange(add=frozenset({two}), remove=frozenset({one})))
    assert last_told(acme, group).event.detail == {
        "changed": [],
        "members_added": [str(two)],
        "members_removed": [str(one)],
        "members_replaced": False,
    }


def test_a_user_sees_the_groups_that_it_is_in(source: Source) -> None:
    user = source.user("pat")
    groups = {source.group("a", user), source.group("b", user)}
    assert {group.id for group in source.read(Kind.USER, user).groups} == groups


# --- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["unknown", "another tenant's", "deleted", "itself"])
@pytest.mark.parametrize("verb", ["join", "set_members", "create"])
def test_a_member_that_is_not_there_is_refused_and_nothing_changes(
    source: Source, acme: Tenant, rival: Tenant, wrong: str, verb: str
) -> None:
    pat, gone = source.user("pat"), source.user("gone")
    group = source.group("team", pat)
    source.delete(Kind.USER, gone)
    foreign = acme.seeded.dana  # both tenants have one of this id; in this one it goes away
    acme.befall(foreign, Transition.DELETE)
    assert principal(rival, foreign) is not None
    named = {"unknown": uuid4(), "another tenant's": foreign, "deleted": gone, "itself": group}[wrong]
    before = digest(acme)
    with pytest.raises(InvalidRequest) as refusal:
        if verb == "create" and wrong != "itself":
            source.group("new", pat, named)
        else:
            getattr(source, verb if verb != "create" else "join")(group, pat, named)
    assert (refusal.value.reason, refusal.value.pointer) == ("unknown_member", "members")
    assert str(named) in refusal.value.detail
    assert digest(acme) == before


# --- nesting ---------------------------------------------------------------------------------------------------


def test_groups_nest_in_circles_without_end_and_tokens_follow_them_up(source: Source, acme: Tenant) -> None:
    finance, sam = acme.seeded.finance, acme.seeded.sam
    admin = administrator(acme)
    token = acme.task_token()
    inner = admin.group("inner", sam)
    middle = admin.group("middle", inner)
    admin.join(inner, middle)
    admin.join(finance, middle)
    admin.leave(finance, sam)
    assert not acme.is_live(token), "it rests on the membership in the group itself"
    token = acme.task_token()
    assert acme.is_live(token)
    acme.befall(middle, Transition.SUSPEND)
    assert not acme.is_live(token)


def test_a_group_in_itself_through_another_can_be_deleted(source: Source, acme: Tenant) -> None:
    one = source.group("one")
    two = source.group("two", one)
    source.join(one, two)
    source.delete(Kind.GROUP, one)
    assert source.members(two) == set()
    work(acme)
    assert count(acme, "group_members WHERE member_id = :id", id=one) == 0


# --- cost ------------------------------------------------------------------------------------------------------


@pytest.mark.promise(10)
def test_one_member_costs_the_same_in_a_group_of_10_and_of_10_000(source: Source, acme: Tenant) -> None:
    user, small, large = source.user("pat"), source.group("small"), source.group("large")
    fill(acme, small, 10)
    fill(acme, large, 10_000)
    costs = []
    for group in (small, large):
        with round_trips(acme.runtime.engine) as seen:
            source.join(group, user)
            source.join(group, user)
            source.leave(group, user)
            source.amend(Kind.GROUP, group, displayName=f"renamed {group}")
            acme.befall(group, Transition.SUSPEND)
        costs.append((len(seen.statements), seen.rows))
    assert costs[0] == costs[1]


@pytest.mark.promise(10)
def test_one_member_reads_no_page_more_in_a_group_of_10_000(acme: Tenant, source: Source) -> None:
    """Counted by PostgreSQL itself: blocks of the members' table and its indexes."""
    user, large = source.user("pat"), source.group("large")
    fill(acme, large, 10_000)
    assert 0 < _blocks_touched(acme, lambda: (source.join(large, user), source.leave(large, user))) < 60


def _blocks_touched(tenant: Tenant, step: Callable[[], object]) -> int:
    step()
    query = (
        "SELECT coalesce(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit, 0)"
        " FROM pg_statio_user_tables WHERE relname = 'group_members'"
    )
    found = []
    for each in (lambda: None, step):
        each()
        with tenant.tx() as tx:  # the one connection of the pool that is in use: it tells what it has counted
            tx.connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        found.append(int(rows(tenant, query)[0][0]))
    return found[1] - found[0]
