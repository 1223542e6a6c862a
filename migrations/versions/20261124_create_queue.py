"""create queue

The default broker: one pgmq queue in this database, made here so that no running process needs the owner's
rights. Also the schema's own revision becomes readable, for the readiness check.
"""

from alembic import context, op
from pgmq.install import get_embedded_install_sql
from sqlalchemy import text

revision = "create_queue"
down_revision = "create_foundation"
branch_labels = None
depends_on = None

QUEUE = """
SELECT pgmq.create('celery');
GRANT USAGE ON SCHEMA pgmq TO identity_app, identity_relay;
GRANT SELECT ON pgmq.meta TO identity_app, identity_relay;
"""

# The relay only puts messages in; workers only take them out. Messages hold ids, never names or tokens.
GRANTS = """
GRANT INSERT, SELECT (msg_id) ON pgmq.q_celery TO identity_relay;
GRANT SELECT, UPDATE, DELETE ON pgmq.q_celery TO identity_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA pgmq TO identity_relay;
"""

# Not pgmq's own notification: its trigger asks a table that a crash of PostgreSQL empties, and locks a row per
# message. One notice per statement is enough, since whoever wakes reads until nothing is left.
WAKE = """
CREATE FUNCTION pgmq.queue_wake() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('queue', ''); RETURN NULL; END $$;
CREATE TRIGGER queue_wake AFTER INSERT ON pgmq.q_celery FOR EACH STATEMENT EXECUTE FUNCTION pgmq.queue_wake();
GRANT SELECT ON alembic_version TO identity_app, identity_relay
"""


def upgrade() -> None:
    if context.is_offline_mode() or not _is_installed():
        op.execute(text(get_embedded_install_sql().replace(":", "\\:")))  # no colon in it names a parameter
    op.execute(QUEUE)
    op.execute(GRANTS)
    op.execute(WAKE)


def _is_installed() -> bool:
    """Say whether an administrator has given this database the pgmq extension already."""
    return op.get_bind().scalar(text("SELECT to_regclass('pgmq.meta')")) is not None


def downgrade() -> None:
    op.execute("DROP SCHEMA pgmq CASCADE")
    op.execute("REVOKE SELECT ON alembic_version FROM identity_app, identity_relay")
