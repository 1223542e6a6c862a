"""order outbox

Rows of the outbox have a priority, and times of the database's clock; they are taken tenant by tenant, and what is
announced is the tenant. The relay may see which messages of the queue in PostgreSQL are waiting, so that it sends no
more than workers take.
"""

from migrations import steps

revision = "order_outbox"
down_revision = "revoke_from_public"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE outbox ADD COLUMN IF NOT EXISTS priority SMALLINT DEFAULT 1 NOT NULL,
    ALTER COLUMN created_at SET DEFAULT now(), ALTER COLUMN available_at SET DEFAULT now()
"""
COLUMNS_BEFORE = """
ALTER TABLE outbox DROP COLUMN IF EXISTS priority, ALTER COLUMN created_at DROP DEFAULT,
    ALTER COLUMN available_at DROP DEFAULT
"""

WAKE = """
CREATE OR REPLACE FUNCTION outbox_wake() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('outbox', coalesce(current_setting('app.tenant', true), '')); RETURN NULL; END $$
"""
WAKE_BEFORE = """
CREATE OR REPLACE FUNCTION outbox_wake() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('outbox', ''); RETURN NULL; END $$
"""

OPEN = "WHERE done_at IS NULL AND dead_at IS NULL"


def upgrade() -> None:
    steps.alone(COLUMNS)
    steps.alone(WAKE)
    steps.alone("GRANT SELECT (vt) ON pgmq.q_celery TO identity_relay")
    steps.create_index("ix_outbox_open", f"outbox (tenant_id, priority, available_at) {OPEN}")
    steps.drop_index("ix_outbox_due")


def downgrade() -> None:
    steps.create_index("ix_outbox_due", f"outbox (available_at) {OPEN}")
    steps.drop_index("ix_outbox_open")
    steps.alone("REVOKE SELECT (vt) ON pgmq.q_celery FROM identity_relay")
    steps.alone(WAKE_BEFORE)
    steps.alone(COLUMNS_BEFORE)
