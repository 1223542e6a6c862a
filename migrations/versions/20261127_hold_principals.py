"""hold principals

An administrator's suspension is a hold of its own: a source that says ``active: false`` and then ``true`` must not lift
it. Of those who are suspended already the administrators' are held, and whoever the audit log says nothing of: in the
version before only an administrator was able to lift a suspension. An agent that was suspended because nobody answered for
it is not held, as it would not be if it lost its owner today.
"""

from alembic import op

from migrations import steps

revision = "hold_principals"
down_revision = "create_async_requests"
branch_labels = None
depends_on = None

loses = "which suspensions are an administrator's"  # on the way down

COLUMN = "ALTER TABLE principals ADD COLUMN IF NOT EXISTS is_held BOOLEAN DEFAULT false NOT NULL"

PRESENT = """
        UPDATE principals p SET is_held = true FROM batch b
         WHERE p.tenant_id = tenant AND p.id = b.id AND p.state = 'suspended' AND NOT p.is_held
           AND coalesce((SELECT e.caller_kind = 'administrator' FROM events e
                          WHERE e.tenant_id = tenant AND e.subject_id = b.id AND e.type LIKE '%.suspended'
                          ORDER BY e.id DESC LIMIT 1), true)
"""


def upgrade() -> None:
    steps.alone(COLUMN)
    steps.each_batch("principals", ("id",), PRESENT)


def downgrade() -> None:
    op.execute("ALTER TABLE principals DROP COLUMN is_held")
