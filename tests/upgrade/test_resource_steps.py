"""What the steps do to resource servers that are there, and to what rested on deleted ones, on the way back."""

from uuid import UUID

import pytest

from server.schema import migrate, migrate_down
from tests.upgrade.planting import AUDIENCE, TENANTS, plant
from tests.upgrade.test_migrations import connected

BEFORE = "say_what_is_served"


def test_every_resource_server_that_was_there_has_an_id_of_its_own(empty_owner_url: str) -> None:
    migrate(empty_owner_url, BEFORE)
    plant(empty_owner_url, users=40)
    migrate(empty_owner_url)
    found = set()
    for tenant in TENANTS:
        with connected(empty_owner_url, tenant) as connection:
            found |= set(connection.execute("SELECT id FROM resources WHERE tenant_id = %s", [tenant]).fetchall())
            written = "INSERT INTO resources (tenant_id, audience, scopes, created_at) VALUES (%s, 'x', '{}', now())"
            connection.execute(f"{written} RETURNING id".encode(), [tenant])  # as the version before writes it
    assert len(found) == len(TENANTS)
    assert (None,) not in found


@pytest.mark.promise(1)
def test_on_the_way_back_what_ended_with_a_deleted_resource_server_is_written_down_as_ended(
    empty_owner_url: str,
) -> None:
    migrate(empty_owner_url)
    plant(empty_owner_url, users=40)
    deleted, kept = TENANTS[0], TENANTS[1]
    with connected(empty_owner_url, deleted) as connection:
        connection.execute(
            "UPDATE resources SET deleted_at = now(), end_count = 1 WHERE tenant_id = %s AND audience = %s",
            [deleted, AUDIENCE],
        )
    migrate_down(empty_owner_url, BEFORE, lose_data=True)
    standing, ended = "ended_at IS NULL", "ended_reason = 'resource_deleted'"
    assert (delegations(empty_owner_url, deleted, standing), delegations(empty_owner_url, kept, ended)) == (0, 0)
    assert min(delegations(empty_owner_url, deleted, ended), delegations(empty_owner_url, kept, standing)) > 0


def delegations(owner_url: str, tenant: UUID, condition: str) -> int:
    with connected(owner_url, tenant) as connection:
        question = f"SELECT count(*) FROM delegations WHERE tenant_id = %s AND {condition}"
        return int(connection.execute(question.encode(), [tenant]).fetchall()[0][0])
