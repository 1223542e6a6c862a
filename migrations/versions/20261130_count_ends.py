"""count ends

Every principal counts how often it ended (deprovisioned, deleted, without its last owner), and every row that rests on it
keeps the count of its parties, or for tasks their epochs: a row with another number has ended, though nobody has written
so yet. Memberships keep their source, and the group once more where the member is a group, so that membership is looked up from the group
downwards. Tasks are counted by actor.
"""

from alembic import op

revision = "count_ends"
down_revision = "add_clients_of_connections"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE principals ADD COLUMN end_count BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN ended_at TIMESTAMP WITH TIME ZONE, ADD COLUMN was_owned BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE delegations ADD COLUMN actor_end_count BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN subject_end_count BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE clients ADD COLUMN principal_end_count BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE tasks ADD COLUMN subject_epoch BIGINT DEFAULT 0 NOT NULL, ADD COLUMN actor_epoch BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE tokens ADD COLUMN connection_id UUID, ADD COLUMN upstream_key TEXT;
ALTER TABLE group_members ADD COLUMN source_id UUID DEFAULT '00000000-0000-0000-0000-000000000000' NOT NULL,
    ADD COLUMN nested_in UUID
"""

# The owner of the tables is held by row-level security too, and here writes for all tenants at once.
PRESENT = """
ALTER TABLE principals NO FORCE ROW LEVEL SECURITY;
ALTER TABLE principal_owners NO FORCE ROW LEVEL SECURITY;
ALTER TABLE group_members NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY;
UPDATE principals p SET was_owned = true
 WHERE EXISTS (SELECT FROM principal_owners o WHERE o.tenant_id = p.tenant_id AND o.principal_id = p.id);
UPDATE group_members m SET source_id = coalesce(g.connection_id, m.source_id), nested_in = CASE WHEN p.kind = 'group' THEN m.group_id END
  FROM principals g, principals p
 WHERE g.tenant_id = m.tenant_id AND g.id = m.group_id AND p.tenant_id = m.tenant_id AND p.id = m.member_id;
UPDATE tasks t SET subject_epoch = s.epoch, actor_epoch = a.epoch FROM principals s, principals a
 WHERE s.tenant_id = t.tenant_id AND s.id = t.subject_id AND a.tenant_id = t.tenant_id AND a.id = t.actor_id
   AND t.state = 'open';
ALTER TABLE tasks FORCE ROW LEVEL SECURITY;
ALTER TABLE group_members FORCE ROW LEVEL SECURITY;
ALTER TABLE principal_owners FORCE ROW LEVEL SECURITY;
ALTER TABLE principals FORCE ROW LEVEL SECURITY
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
GRANT SELECT, INSERT, UPDATE, DELETE ON task_counts TO identity_app;
GRANT DELETE ON tasks TO identity_app
"""

# What each new index is for, and what it replaces. Where a predicate names a column that is always set, it is there so that
# no look-up by another key takes the index for its tenant_id alone.
INDEXES = (
    # memberships of one member, by source; in the order in which they are shown
    "CREATE INDEX CONCURRENTLY ix_group_members_of ON group_members (tenant_id, member_id, source_id, group_id)",
    "DROP INDEX CONCURRENTLY ix_group_members_member",
    # groups within a group: of a column of its own, so that no look-up of them goes through all members
    "CREATE INDEX CONCURRENTLY ix_group_members_nested ON group_members (tenant_id, nested_in, member_id) WHERE nested_in IS NOT NULL",
    # agents of one owner, in order
    "CREATE INDEX CONCURRENTLY ix_principal_owners_of ON principal_owners (tenant_id, owner_id, principal_id)",
    "DROP INDEX CONCURRENTLY ix_principal_owners_owner",
    # delegations for one person, and those of one actor for groups
    "CREATE INDEX CONCURRENTLY ix_delegations_person ON delegations (tenant_id, subject_id, actor_id, resource) WHERE ended_at IS NULL AND subject_id IS NOT NULL",
    "DROP INDEX CONCURRENTLY ix_delegations_subject",
    "CREATE INDEX CONCURRENTLY ix_delegations_actor_group ON delegations (tenant_id, actor_id, resource, id) WHERE ended_at IS NULL AND subject_group_id IS NOT NULL",
    # live clients of one principal
    "CREATE INDEX CONCURRENTLY ix_clients_live ON clients (tenant_id, principal_id) WHERE revoked_at IS NULL AND principal_id IS NOT NULL",
    # tasks of one party that were opened before its last cut; and those that expired
    "CREATE INDEX CONCURRENTLY ix_tasks_open_of_subject ON tasks (tenant_id, subject_id, subject_epoch) WHERE state = 'open' AND subject_epoch IS NOT NULL",
    "CREATE INDEX CONCURRENTLY ix_tasks_open_of_actor ON tasks (tenant_id, actor_id, actor_epoch) WHERE state = 'open' AND actor_epoch IS NOT NULL",
    "CREATE INDEX CONCURRENTLY ix_tasks_expires_at ON tasks (tenant_id, expires_at) WHERE expires_at IS NOT NULL",
)

INDEXES_BEFORE = (
    "DROP INDEX CONCURRENTLY ix_tasks_expires_at",
    "DROP INDEX CONCURRENTLY ix_tasks_open_of_actor",
    "DROP INDEX CONCURRENTLY ix_tasks_open_of_subject",
    "DROP INDEX CONCURRENTLY ix_clients_live",
    "DROP INDEX CONCURRENTLY ix_delegations_actor_group",
    "CREATE INDEX CONCURRENTLY ix_delegations_subject ON delegations (tenant_id, subject_id) WHERE ended_at IS NULL",
    "DROP INDEX CONCURRENTLY ix_delegations_person",
    "CREATE INDEX CONCURRENTLY ix_principal_owners_owner ON principal_owners (tenant_id, owner_id)",
    "DROP INDEX CONCURRENTLY ix_principal_owners_of",
    "DROP INDEX CONCURRENTLY ix_group_members_nested",
    "CREATE INDEX CONCURRENTLY ix_group_members_member ON group_members (tenant_id, member_id)",
    "DROP INDEX CONCURRENTLY ix_group_members_of",
)


def one_by_one(statements: tuple[str, ...]) -> None:
    """Run each statement in no transaction, as ``CONCURRENTLY`` wants it."""
    for statement in statements:
        with op.get_context().autocommit_block():
            op.execute(statement)


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(PRESENT)
    op.execute(COUNTS)
    one_by_one(INDEXES)


def downgrade() -> None:
    one_by_one(INDEXES_BEFORE)
    op.execute("REVOKE DELETE ON tasks FROM identity_app")
    op.execute("DROP TABLE task_counts")
    op.execute("ALTER TABLE group_members DROP COLUMN source_id, DROP COLUMN nested_in")
    op.execute("ALTER TABLE tokens DROP COLUMN connection_id, DROP COLUMN upstream_key")
    op.execute("ALTER TABLE tasks DROP COLUMN subject_epoch, DROP COLUMN actor_epoch")
    op.execute("ALTER TABLE clients DROP COLUMN principal_end_count")
    op.execute("ALTER TABLE delegations DROP COLUMN actor_end_count, DROP COLUMN subject_end_count")
    op.execute("ALTER TABLE principals DROP COLUMN end_count, DROP COLUMN ended_at, DROP COLUMN was_owned")
