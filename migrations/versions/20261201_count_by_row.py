"""count by row

A principal that is created is counted by a trigger for its row, not for its statement: a trigger that reads the rows of a
statement together cannot be had where the table is distributed. It counts by the tenant and kind of its row alone, in the
same slots as before.
"""

from migrations import steps

revision = "count_by_row"
down_revision = "order_outbox"
branch_labels = None
depends_on = None

# Replaced, not dropped and made anew: no row is ever counted twice, or not at all.
BY_ROW = """
CREATE OR REPLACE TRIGGER principals_count_made AFTER INSERT ON principals FOR EACH ROW
    WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION principals_count_changed()
"""

MADE = """
CREATE OR REPLACE FUNCTION principals_count_made() RETURNS trigger LANGUAGE plpgsql AS $made$
BEGIN
    INSERT INTO principal_counts AS kept (tenant_id, kind, slot, living)
    SELECT tenant_id, kind, pg_backend_pid() % 16, count(*) FROM made
     WHERE deleted_at IS NULL GROUP BY tenant_id, kind ORDER BY kind
        ON CONFLICT (tenant_id, kind, slot) DO UPDATE SET living = kept.living + excluded.living;
    RETURN NULL;
END $made$
"""
BY_STATEMENT = """
CREATE OR REPLACE TRIGGER principals_count_made AFTER INSERT ON principals
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION principals_count_made()
"""


def upgrade() -> None:
    steps.alone(BY_ROW, "DROP FUNCTION IF EXISTS principals_count_made")


def downgrade() -> None:
    steps.alone(MADE, BY_STATEMENT)
