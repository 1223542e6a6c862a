"""tell upstream

A connection says which tokens of its issuer are taken: their kinds, how old they may be, how long they may live, and what
becomes of an ``act`` in them. A token of ours keeps what its first upstream token said of the sign-in and of actors.
"""

from alembic import op

revision = "tell_upstream"
down_revision = "count_ends"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE connections ADD COLUMN token_kinds TEXT[] DEFAULT '{id_token,access_token}' NOT NULL,
    ADD COLUMN max_age_s INTEGER DEFAULT 86400 NOT NULL,
    ADD COLUMN max_lifetime_s INTEGER DEFAULT 86400 NOT NULL,
    ADD COLUMN upstream_act TEXT DEFAULT 'refuse' NOT NULL;
ALTER TABLE tokens ADD COLUMN upstream JSONB
"""


def upgrade() -> None:
    op.execute(COLUMNS)


def downgrade() -> None:
    op.execute("ALTER TABLE tokens DROP COLUMN upstream")
    op.execute(
        "ALTER TABLE connections DROP COLUMN token_kinds, DROP COLUMN max_age_s, DROP COLUMN max_lifetime_s,"
        " DROP COLUMN upstream_act"
    )
