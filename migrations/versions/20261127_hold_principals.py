"""hold principals

An administrator's suspension is a hold of its own: a source that says ``active: false`` and then ``true`` must not lift
it. Whoever is suspended already is held: of those only an administrator was able to lift the suspension.
"""

from alembic import op

revision = "hold_principals"
down_revision = "create_async_requests"
branch_labels = None
depends_on = None

COLUMN = "ALTER TABLE principals ADD COLUMN is_held BOOLEAN DEFAULT false NOT NULL"

# The owner of the tables is held by the wall too, and here writes for all tenants at once.
PRESENT = """
ALTER TABLE principals NO FORCE ROW LEVEL SECURITY;
UPDATE principals SET is_held = true WHERE state = 'suspended';
ALTER TABLE principals FORCE ROW LEVEL SECURITY
"""


def upgrade() -> None:
    op.execute(COLUMN)
    op.execute(PRESENT)


def downgrade() -> None:
    op.execute("ALTER TABLE principals DROP COLUMN is_held")
