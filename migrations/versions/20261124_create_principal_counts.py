"""create principal counts

How many users, groups, agents and service accounts a tenant has, so that no list counts them. Triggers keep it, in the
transaction of whatever creates or deletes: no statement can forget it. Each database process writes a slot of its own,
so that sources which create at the same time do not wait for each other.
"""

from alembic import op

from migrations import steps

revision = "create_principal_counts"
down_revision = "create_queue"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE principal_counts (
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    slot INTEGER NOT NULL,
    living BIGINT NOT NULL,
    CONSTRAINT pk_principal_counts PRIMARY KEY (tenant_id, kind, slot)
) WITH (fillfactor = 50)
"""

WALL = """
ALTER TABLE principal_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE principal_counts FORCE ROW LEVEL SECURITY;
ALTER TABLE principal_counts ALTER COLUMN tenant_id SET (n_distinct = 1);
CREATE POLICY tenant_wall ON principal_counts TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT SELECT, INSERT, UPDATE ON principal_counts TO identity_app
"""

# Those who were there before the triggers were: what is there less what is counted, in one snapshot, whoever writes.
PRESENT = """INSERT INTO principal_counts AS kept (tenant_id, kind, slot, living)
        SELECT tenant, kind, 0, sum(living) FROM (
            SELECT kind, count(*) AS living FROM principals WHERE tenant_id = tenant AND deleted_at IS NULL GROUP BY kind
            UNION ALL
            SELECT kind, - living FROM principal_counts WHERE tenant_id = tenant) AS uncounted
         GROUP BY kind HAVING sum(living) <> 0
            ON CONFLICT (tenant_id, kind, slot) DO UPDATE SET living = kept.living + excluded.living"""

MADE = """
CREATE OR REPLACE FUNCTION principals_count_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO principal_counts AS kept (tenant_id, kind, slot, living)
    SELECT tenant_id, kind, pg_backend_pid() % 16, count(*) FROM made
     WHERE deleted_at IS NULL GROUP BY tenant_id, kind ORDER BY kind
        ON CONFLICT (tenant_id, kind, slot) DO UPDATE SET living = kept.living + excluded.living;
    RETURN NULL;
END $$
"""
MADE_TRIGGER = """
CREATE OR REPLACE TRIGGER principals_count_made AFTER INSERT ON principals
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION principals_count_made()
"""
CHANGED = """
CREATE OR REPLACE FUNCTION principals_count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO principal_counts AS kept (tenant_id, kind, slot, living)
    VALUES (NEW.tenant_id, NEW.kind, pg_backend_pid() % 16, CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END)
        ON CONFLICT (tenant_id, kind, slot) DO UPDATE SET living = kept.living + excluded.living;
    RETURN NULL;
END $$
"""
CHANGED_TRIGGER = """
CREATE OR REPLACE TRIGGER principals_count_changed AFTER UPDATE OF deleted_at ON principals FOR EACH ROW
    WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION principals_count_changed()
"""
KEPT = ((MADE, MADE_TRIGGER), (CHANGED, CHANGED_TRIGGER))


def upgrade() -> None:
    steps.once(steps.lacks_table("principal_counts"), TABLE, WALL)
    for function, trigger in KEPT:
        steps.alone(function, trigger)
    steps.each_tenant(PRESENT)


def downgrade() -> None:
    op.execute("DROP TRIGGER principals_count_made ON principals")
    op.execute("DROP TRIGGER principals_count_changed ON principals")
    op.execute("DROP FUNCTION principals_count_made")
    op.execute("DROP FUNCTION principals_count_changed")
    op.execute("DROP TABLE principal_counts")
