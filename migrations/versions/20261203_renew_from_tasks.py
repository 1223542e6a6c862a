"""renew from tasks

A task may be opened by itself, with a purpose, the authority that it is for and a budget; its tokens may be renewed until it ends. It
knows the actors that took part, so that one of them may join it again and end its own branch. A token keeps until when it may be
renewed, the first edition of a renewed one, and the memberships that it rests on, each of which is told from one of the same member
in the same group that began later.
"""

from alembic import op

from migrations import steps

revision = "renew_from_tasks"
down_revision = "count_narrowings"
branch_labels = None
depends_on = None

loses = "every token; tasks without a delegation; purposes, budgets and actors of tasks; how long tasks may be"  # on the way down

WALL = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
ALTER TABLE {table} ALTER COLUMN tenant_id SET (n_distinct = 1);
CREATE POLICY tenant_wall ON {table} TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO identity_app
"""

ACTORS = """
CREATE TABLE task_actors (
    tenant_id UUID NOT NULL,
    txn UUID NOT NULL,
    actor_id UUID NOT NULL,
    joined_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_task_actors PRIMARY KEY (tenant_id, txn, actor_id),
    CONSTRAINT fk_task_actors_tenant_id_txn FOREIGN KEY(tenant_id, txn)
        REFERENCES tasks (tenant_id, txn) ON DELETE CASCADE
);""" + WALL.format(table="task_actors")

BUDGETS = """
CREATE TABLE task_budgets (
    tenant_id UUID NOT NULL,
    txn UUID NOT NULL,
    issued BIGINT DEFAULT 0 NOT NULL,
    minute BIGINT DEFAULT 0 NOT NULL,
    issued_in_minute BIGINT DEFAULT 0 NOT NULL,
    handed_on JSONB DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_task_budgets PRIMARY KEY (tenant_id, txn),
    CONSTRAINT fk_task_budgets_tenant_id_txn FOREIGN KEY(tenant_id, txn)
        REFERENCES tasks (tenant_id, txn) ON DELETE CASCADE
);""" + WALL.format(table="task_budgets")

COLUMNS = (
    "ALTER TABLE tenants ADD COLUMN IF NOT EXISTS max_task_s INTEGER DEFAULT 86400 NOT NULL",
    "ALTER TABLE delegations ADD COLUMN IF NOT EXISTS max_task_s INTEGER DEFAULT 3600 NOT NULL",
    """
ALTER TABLE tasks ALTER COLUMN delegation_id DROP NOT NULL, ALTER COLUMN audience DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS purpose TEXT,
    ADD COLUMN IF NOT EXISTS authority JSONB,
    ADD COLUMN IF NOT EXISTS budget JSONB
""",
    """
ALTER TABLE tokens ADD COLUMN IF NOT EXISTS renewable_until TIMESTAMP WITH TIME ZONE,
    ADD COLUMN IF NOT EXISTS first_jti UUID,
    ADD COLUMN IF NOT EXISTS memberships JSONB
""",
    # Memberships from before have none: so they differ from every later one.
    """
ALTER TABLE group_members ADD COLUMN IF NOT EXISTS id UUID;
ALTER TABLE group_members ALTER COLUMN id SET DEFAULT gen_random_uuid()
""",
)

# The version before knows neither ended branches nor memberships that ended.
TOKENS = "DELETE FROM tokens t USING batch b WHERE t.tenant_id = tenant AND t.jti = b.jti"
TASKS = "DELETE FROM tasks t USING batch b WHERE t.tenant_id = tenant AND t.txn = b.txn AND t.delegation_id IS NULL"


def upgrade() -> None:
    for columns in COLUMNS:
        steps.alone(columns)
    steps.once(steps.lacks_table("task_actors"), ACTORS)
    steps.once(steps.lacks_table("task_budgets"), BUDGETS)


def downgrade() -> None:
    steps.each_batch("tokens", ("jti",), TOKENS)
    steps.each_batch("tasks", ("txn",), TASKS)
    op.execute("DROP TABLE task_budgets, task_actors")
    op.execute("ALTER TABLE group_members DROP COLUMN id")
    op.execute("ALTER TABLE tokens DROP COLUMN renewable_until, DROP COLUMN first_jti, DROP COLUMN memberships")
    op.execute("ALTER TABLE tasks ALTER COLUMN delegation_id SET NOT NULL, ALTER COLUMN audience SET NOT NULL,"
               " DROP COLUMN purpose, DROP COLUMN authority, DROP COLUMN budget")  # fmt: skip
    op.execute("ALTER TABLE delegations DROP COLUMN max_task_s")
    op.execute("ALTER TABLE tenants DROP COLUMN max_task_s")
