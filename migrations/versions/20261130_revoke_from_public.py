"""revoke from public

No login may make temporary tables, or anything in the schema that holds the tables: nothing of the application needs them,
and what stands first in a search path is what a statement finds. A server where the owner of the tables does not own the
database or the schema answers with a warning; its administrator then revokes both.
"""

from alembic import op

revision = "revoke_from_public"
down_revision = "set_messages_aside"
branch_labels = None
depends_on = None

ON_DATABASE = "DO $$ BEGIN EXECUTE format('{} TEMPORARY ON DATABASE %I {} PUBLIC', current_database()); END $$"
ON_SCHEMA = "DO $$ BEGIN EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema()); END $$"


def upgrade() -> None:
    op.execute(ON_DATABASE.format("REVOKE", "FROM"))
    op.execute(ON_SCHEMA)


def downgrade() -> None:
    op.execute(ON_DATABASE.format("GRANT", "TO"))
