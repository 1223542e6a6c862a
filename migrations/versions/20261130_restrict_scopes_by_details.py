"""restrict scopes by details

A resource server keeps which of its types of authorization details restrict which of its scopes. Types that were registered
before stand alone.
"""

from alembic import op

revision = "restrict_scopes_by_details"
down_revision = "tell_upstream"
branch_labels = None
depends_on = None

loses = "which types of authorization details restrict which scopes"  # on the way down


def upgrade() -> None:
    op.execute("ALTER TABLE resources ADD COLUMN authorization_details_scopes JSONB DEFAULT '{}' NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE resources DROP COLUMN authorization_details_scopes")
