"""index lists

What an administrator asks for by name or state is found by an index: principals in one state, groups and connections of
one name, delegations that have not ended by when they expire.
"""

from migrations import steps

revision = "index_lists"
down_revision = "post_client_secrets"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_principals_state": "principals (tenant_id, kind, state, id) WHERE deleted_at IS NULL",
    "ix_principals_group_name": "principals (tenant_id, name_key) WHERE deleted_at IS NULL AND kind = 'group'",
    "ix_connections_name": "connections (tenant_id, name, id)",
    "ix_delegations_expiry": "delegations (tenant_id, expires_at, id) WHERE ended_at IS NULL",
}


def upgrade() -> None:
    for name, definition in INDEXES.items():
        steps.create_index(name, definition)


def downgrade() -> None:
    for name in INDEXES:
        steps.drop_index(name)
