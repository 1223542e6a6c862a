"""protect principals

Whom no source may change: accounts for the emergency, and whoever else an administrator protects. Few of many, so the
list of them has an index of its own.
"""

from alembic import op

from migrations import steps

revision = "protect_principals"
down_revision = "hold_principals"
branch_labels = None
depends_on = None

loses = "which principals are protected"  # on the way down

COLUMN = "ALTER TABLE principals ADD COLUMN IF NOT EXISTS is_protected BOOLEAN DEFAULT false NOT NULL"


def upgrade() -> None:
    steps.alone(COLUMN)
    steps.create_index("ix_principals_protected", "principals (tenant_id, id) WHERE is_protected")


def downgrade() -> None:
    op.execute("ALTER TABLE principals DROP COLUMN is_protected")
