"""Memberships of one source, and groups within groups, are bounded; whoever is at the bound holds up no one else."""

from uuid import UUID

import pytest

from identity.model.errors import LimitExceeded
from identity.model.nesting import MEMBERSHIPS_MAX, NESTING_MAX
from tests.actions.sources import Source, administrator, count, rows
from tests.fixtures import Tenant

FILL = """
WITH made AS (
    INSERT INTO principals (tenant_id, id, kind, connection_id, state, name, name_key, document, created_at, updated_at)
    SELECT current_setting('app.tenant')::uuid, gen_random_uuid(), 'group', :source, 'active', 'g' || n, 'g' || n, '{}',
           now(), now()
      FROM generate_series(1, :number) AS n RETURNING id)
INSERT INTO group_members (tenant_id, group_id, member_id, source_id, added_at)
SELECT current_setting('app.tenant')::uuid, id, :member, :source, now() FROM made
"""


@pytest.mark.promise(8)
def test_a_principal_is_in_so_many_groups_of_a_source_and_others_are_free(source: Source, acme: Tenant) -> None:
    pat, sue, team = source.user("pat"), source.user("sue"), source.group("team")
    rows(acme, FILL, source=source.caller.connection_id, number=MEMBERSHIPS_MAX - 1, member=pat)
    source.join(team, pat)
    more = source.group("more")
    with pytest.raises(LimitExceeded) as refused:
        source.join(more, pat, sue)
    assert refused.value.reason == "too_many_memberships"
    assert count(acme, "group_members WHERE group_id = :id", id=more) == 0
    source.join(team, pat)
    source.join(more, sue)
    other = administrator(acme)
    other.join(other.group("of another source"), pat)


def nest(source: Source, number: int) -> list[UUID]:
    groups = [source.group("level 0")]
    for level in range(1, number):
        groups.append(source.group(f"level {level}", groups[-1]))
    return groups


@pytest.mark.promise(8)
def test_groups_nest_so_deep_from_above_and_from_below(source: Source) -> None:
    lower, upper = nest(source, NESTING_MAX - 2), nest(source, 3)
    source.join(upper[0], lower[-1])
    for group, member in ((source.group("top"), upper[-1]), (lower[0], source.group("bottom"))):
        with pytest.raises(LimitExceeded) as refused:
            source.join(group, member)
        assert refused.value.reason == "nesting_too_deep"
