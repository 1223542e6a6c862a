"""say what is served

Beside the schema's revision stands the oldest revision whose program it still serves. A program that is older than the
schema cannot know what became of it, but it can see whether it knows that revision.
"""

from alembic import op

revision = "say_what_is_served"
down_revision = "mend_holds"
branch_labels = None
depends_on = None

serves_from = "say_what_is_served"


def upgrade() -> None:
    op.execute("ALTER TABLE alembic_version ADD COLUMN serves_from TEXT")


def downgrade() -> None:
    op.execute("ALTER TABLE alembic_version DROP COLUMN serves_from")
