"""order outbox

Rows of the outbox have a priority, and times of the database's clock; they are taken tenant by tenant, and what is
announced is the tenant. The relay may see which
messages of the queue in PostgreSQL are waiting, so that it sends no more than workers take.
"""

from alembic import op

revision = "order_outbox"
down_revision = "revoke_from_public"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE outbox ADD COLUMN priority SMALLINT DEFAULT 1 NOT NULL,
    ALTER COLUMN created_at SET DEFAULT now(), ALTER COLUMN available_at SET DEFAULT now()
"""
COLUMNS_BEFORE = """
ALTER TABLE outbox DROP COLUMN priority, ALTER COLUMN created_at DROP DEFAULT, ALTER COLUMN available_at DROP DEFAULT
"""

WAKE = """
CREATE OR REPLACE FUNCTION outbox_wake() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('outbox', coalesce(current_setting('app.tenant', true), '')); RETURN NULL; END $$;
GRANT SELECT (vt) ON pgmq.q_celery TO identity_relay
"""
WAKE_BEFORE = """
CREATE OR REPLACE FUNCTION outbox_wake() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('outbox', ''); RETURN NULL; END $$;
REVOKE SELECT (vt) ON pgmq.q_celery FROM identity_relay
"""

OPEN = "WHERE done_at IS NULL AND dead_at IS NULL"
INDEXES = (
    f"CREATE INDEX CONCURRENTLY ix_outbox_open ON outbox (tenant_id, priority, available_at) {OPEN}",
    "DROP INDEX CONCURRENTLY ix_outbox_due",
)
INDEXES_BEFORE = (
    f"CREATE INDEX CONCURRENTLY ix_outbox_due ON outbox (available_at) {OPEN}",
    "DROP INDEX CONCURRENTLY ix_outbox_open",
)


def one_by_one(statements: tuple[str, ...]) -> None:
    """Run each statement in no transaction, as ``CONCURRENTLY`` wants it."""
    for statement in statements:
        with op.get_context().autocommit_block():
            op.execute(statement)


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(WAKE)
    one_by_one(INDEXES)


def downgrade() -> None:
    one_by_one(INDEXES_BEFORE)
    op.execute(WAKE_BEFORE)
    op.execute(COLUMNS_BEFORE)
