"""set messages aside

Workers move a message that nobody can read, or that was delivered too often, to the queue's archive, and keep the archive
small. Relays put messages in and choose neither their number nor how often they were read.
"""

from alembic import op

revision = "set_messages_aside"
down_revision = "restrict_scopes_by_details"
branch_labels = None
depends_on = None

GRANTS = """
GRANT INSERT, DELETE, SELECT (msg_id, archived_at) ON pgmq.a_celery TO identity_app;
REVOKE INSERT ON pgmq.q_celery FROM identity_relay;
GRANT INSERT (vt, message, headers) ON pgmq.q_celery TO identity_relay
"""
REVOKES = """
REVOKE INSERT (vt, message, headers) ON pgmq.q_celery FROM identity_relay;
GRANT INSERT ON pgmq.q_celery TO identity_relay;
REVOKE INSERT, DELETE, SELECT (msg_id, archived_at) ON pgmq.a_celery FROM identity_app
"""


def upgrade() -> None:
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute(REVOKES)
