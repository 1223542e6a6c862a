"""narrow delegation indexes

Without statistics, or with those of a table that was small, a look-up of delegations by one party or by id could take an
index that has another key, for its tenant_id alone, and read every delegation of the tenant. Each index names the column
that it is for in its condition now, so that it serves look-ups by this column only.
"""

from migrations import steps

revision = "narrow_delegation_indexes"
down_revision = "renew_from_tasks"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_delegations_of_actor": "delegations (tenant_id, actor_id, resource) WHERE ended_at IS NULL AND actor_id IS NOT NULL",
    "ix_delegations_of_actor_groups": (
        "delegations (tenant_id, actor_id, resource, id)"
        " WHERE ended_at IS NULL AND subject_group_id IS NOT NULL AND actor_id IS NOT NULL"
    ),
    "ix_delegations_of_group": (
        "delegations (tenant_id, subject_group_id) WHERE ended_at IS NULL AND subject_group_id IS NOT NULL"
    ),
    "ix_delegations_expiring": "delegations (tenant_id, expires_at, id) WHERE ended_at IS NULL AND expires_at IS NOT NULL",
    "ix_delegations_lasting": "delegations (tenant_id, id) WHERE ended_at IS NULL AND expires_at IS NULL",
}
INDEXES_BEFORE = {
    "ix_delegations_actor": "delegations (tenant_id, actor_id, resource) WHERE ended_at IS NULL",
    "ix_delegations_actor_group": (
        "delegations (tenant_id, actor_id, resource, id) WHERE ended_at IS NULL AND subject_group_id IS NOT NULL"
    ),
    "ix_delegations_group": "delegations (tenant_id, subject_group_id) WHERE ended_at IS NULL",
    "ix_delegations_expiry": "delegations (tenant_id, expires_at, id) WHERE ended_at IS NULL",
}


def exchange_indexes(new: dict[str, str], old: dict[str, str]) -> None:
    """Build the new ones, then drop the old: no look-up is ever without its index."""
    for name, definition in new.items():
        steps.create_index(name, definition)
    for name in old:
        steps.drop_index(name)


def upgrade() -> None:
    exchange_indexes(INDEXES, INDEXES_BEFORE)


def downgrade() -> None:
    exchange_indexes(INDEXES_BEFORE, INDEXES)
