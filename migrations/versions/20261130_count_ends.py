"""count ends

Every principal counts how often it ended (deprovisioned, deleted, without its last owner), and every row that rests on it
keeps the count of its parties, or for tasks their epochs: a row with another number has ended, though nobody has written
so yet. Memberships keep their source, and the group once more where the member is a group, so that membership is looked up from the group
downwards. Tasks are counted by actor.
"""

from alembic import op

from migrations import steps

revision = "count_ends"
down_revision = "add_clients_of_connections"
branch_labels = None
depends_on = None

loses = "how often principals ended, so that what rests on them may be good again; the sources of memberships; task counts"  # on the way down

COLUMNS = (
    """
ALTER TABLE principals ADD COLUMN IF NOT EXISTS end_count BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS ended_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN IF NOT EXISTS was_owned BOOLEAN DEFAULT false NOT NULL
""",
    """
ALTER TABLE delegations ADD COLUMN IF NOT EXISTS actor_end_count BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS subject_end_count BIGINT DEFAULT 0 NOT NULL
""",
    "ALTER TABLE clients ADD COLUMN IF NOT EXISTS principal_end_count BIGINT DEFAULT 0 NOT NULL",
    """
ALTER TABLE tasks ADD COLUMN IF NOT EXISTS subject_epoch BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS actor_epoch BIGINT DEFAULT 0 NOT NULL
""",
    "ALTER TABLE tokens ADD COLUMN IF NOT EXISTS connection_id UUID, ADD COLUMN IF NOT EXISTS upstream_key TEXT",
    """
ALTER TABLE group_members
    ADD COLUMN IF NOT EXISTS source_id UUID DEFAULT '00000000-0000-0000-0000-000000000000' NOT NULL,
    ADD COLUMN IF NOT EXISTS nested_in UUID
""",
)

OWNED = """
        UPDATE principals p SET was_owned = true FROM batch b
         WHERE p.tenant_id = tenant AND p.id = b.id AND NOT p.was_owned
           AND EXISTS (SELECT FROM principal_owners o WHERE o.tenant_id = tenant AND o.principal_id = b.id)
"""
MEMBERS = """
        UPDATE group_members m SET source_id = s.source_id, nested_in = s.nested_in
          FROM batch b CROSS JOIN LATERAL (
                SELECT coalesce(g.connection_id, '00000000-0000-0000-0000-000000000000') AS source_id,
                       CASE WHEN p.kind = 'group' THEN b.group_id END AS nested_in FROM principals g, principals p
                 WHERE g.tenant_id = tenant AND g.id = b.group_id AND p.tenant_id = tenant AND p.id = b.member_id) s
         WHERE m.tenant_id = tenant AND m.group_id = b.group_id AND m.member_id = b.member_id
           AND (m.source_id, m.nested_in) IS DISTINCT FROM (s.source_id, s.nested_in)
"""
TASKS = """
        UPDATE tasks t SET subject_epoch = s.epoch, actor_epoch = a.epoch FROM batch b, principals s, principals a
         WHERE t.tenant_id = tenant AND t.txn = b.txn AND t.state = 'open'
           AND s.tenant_id = tenant AND s.id = t.subject_id AND a.tenant_id = tenant AND a.id = t.actor_id
           AND (t.subject_epoch, t.actor_epoch) IS DISTINCT FROM (s.epoch, a.epoch)
"""

COUNTS = """
CREATE TABLE task_counts (
    tenant_id UUID NOT NULL,
    actor_id UUID NOT NULL,
    period BIGINT NOT NULL,
    slot INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    CONSTRAINT pk_task_counts PRIMARY KEY (tenant_id, actor_id, period, slot),
    CONSTRAINT fk_task_counts_tenant_id_actor_id FOREIGN KEY(tenant_id, actor_id) REFERENCES principals (tenant_id, id)
);
CREATE INDEX ix_task_counts_period ON task_counts (tenant_id, period) WHERE period IS NOT NULL;
ALTER TABLE task_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE task_counts FORCE ROW LEVEL SECURITY;
ALTER TABLE task_counts ALTER COLUMN tenant_id SET (n_distinct = 1);
CREATE POLICY tenant_wall ON task_counts TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON task_counts TO identity_app
"""

# What each new index is for, and what it replaces. Where a predicate names a column that is always set, it is there so that
# no look-up by another key takes the index for its tenant_id alone.
INDEXES = {
    # memberships of one member, by source; in the order in which they are shown
    "ix_group_members_of": "group_members (tenant_id, member_id, source_id, group_id)",
    # groups within a group: of a column of its own, so that no look-up of them goes through all members
    "ix_group_members_nested": "group_members (tenant_id, nested_in, member_id) WHERE nested_in IS NOT NULL",
    # agents of one owner, in order
    "ix_principal_owners_of": "principal_owners (tenant_id, owner_id, principal_id)",
    # delegations for one person, and those of one actor for groups
    "ix_delegations_person": "delegations (tenant_id, subject_id, actor_id, resource) WHERE ended_at IS NULL AND subject_id IS NOT NULL",
    "ix_delegations_actor_group": "delegations (tenant_id, actor_id, resource, id) WHERE ended_at IS NULL AND subject_group_id IS NOT NULL",
    # live clients of one principal
    "ix_clients_live": "clients (tenant_id, principal_id) WHERE revoked_at IS NULL AND principal_id IS NOT NULL",
    # tasks of one party that were opened before its last cut; and those that expired
    "ix_tasks_open_of_subject": "tasks (tenant_id, subject_id, subject_epoch) WHERE state = 'open' AND subject_epoch IS NOT NULL",
    "ix_tasks_open_of_actor": "tasks (tenant_id, actor_id, actor_epoch) WHERE state = 'open' AND actor_epoch IS NOT NULL",
    "ix_tasks_expires_at": "tasks (tenant_id, expires_at) WHERE expires_at IS NOT NULL",
}
INDEXES_BEFORE = {
    "ix_group_members_member": "group_members (tenant_id, member_id)",
    "ix_principal_owners_owner": "principal_owners (tenant_id, owner_id)",
    "ix_delegations_subject": "delegations (tenant_id, subject_id) WHERE ended_at IS NULL",
}


def exchange_indexes(new: dict[str, str], old: dict[str, str]) -> None:
    """Build the new ones, then drop the old: no look-up is ever without its index."""
    for name, definition in new.items():
        steps.create_index(name, definition)
    for name in old:
        steps.drop_index(name)


def upgrade() -> None:
    for columns in COLUMNS:
        steps.alone(columns)
    steps.each_batch("principals", ("id",), OWNED)
    steps.each_batch("group_members", ("group_id", "member_id"), MEMBERS)
    steps.each_batch("tasks", ("txn",), TASKS)
    steps.once(steps.lacks_table("task_counts"), COUNTS)
    steps.alone("GRANT DELETE ON tasks TO identity_app")
    exchange_indexes(INDEXES, INDEXES_BEFORE)


def downgrade() -> None:
    exchange_indexes(INDEXES_BEFORE, INDEXES)
    op.execute("REVOKE DELETE ON tasks FROM identity_app")
    op.execute("DROP TABLE task_counts")
    op.execute("ALTER TABLE group_members DROP COLUMN source_id, DROP COLUMN nested_in")
    op.execute("ALTER TABLE tokens DROP COLUMN connection_id, DROP COLUMN upstream_key")
    op.execute("ALTER TABLE tasks DROP COLUMN subject_epoch, DROP COLUMN actor_epoch")
    op.execute("ALTER TABLE clients DROP COLUMN principal_end_count")
    op.execute("ALTER TABLE delegations DROP COLUMN actor_end_count, DROP COLUMN subject_end_count")
    op.execute("ALTER TABLE principals DROP COLUMN end_count, DROP COLUMN ended_at, DROP COLUMN was_owned")
