"""protect principals

Whom no source may change: accounts for the emergency, and whoever else an administrator protects. Few of many, so the
list of them has an index of its own.
"""

from alembic import op

revision = "protect_principals"
down_revision = "hold_principals"
branch_labels = None
depends_on = None

COLUMN = "ALTER TABLE principals ADD COLUMN is_protected BOOLEAN DEFAULT false NOT NULL"
INDEX = "CREATE INDEX CONCURRENTLY ix_principals_protected ON principals (tenant_id, id) WHERE is_protected"


def upgrade() -> None:
    op.execute(COLUMN)
    with op.get_context().autocommit_block():
        op.execute(INDEX)


def downgrade() -> None:
    op.execute("ALTER TABLE principals DROP COLUMN is_protected")
