"""tell upstream

A connection says which tokens of its issuer are taken: their kinds, how old they may be, how long they may live, and what
becomes of an ``act`` in them. A token of ours keeps what its first upstream token said of the sign-in and of actors.
"""

from alembic import op

from migrations import steps

revision = "tell_upstream"
down_revision = "count_ends"
branch_labels = None
depends_on = None

loses = "which upstream tokens connections take"  # on the way down

CONNECTIONS = """
ALTER TABLE connections ADD COLUMN IF NOT EXISTS token_kinds TEXT[] DEFAULT '{id_token,access_token}' NOT NULL,
    ADD COLUMN IF NOT EXISTS max_age_s INTEGER DEFAULT 86400 NOT NULL,
    ADD COLUMN IF NOT EXISTS max_lifetime_s INTEGER DEFAULT 86400 NOT NULL,
    ADD COLUMN IF NOT EXISTS upstream_act TEXT DEFAULT 'refuse' NOT NULL
"""
TOKENS = "ALTER TABLE tokens ADD COLUMN IF NOT EXISTS upstream JSONB"


def upgrade() -> None:
    steps.alone(CONNECTIONS)
    steps.alone(TOKENS)


def downgrade() -> None:
    op.execute("ALTER TABLE tokens DROP COLUMN upstream")
    op.execute(
        "ALTER TABLE connections DROP COLUMN token_kinds, DROP COLUMN max_age_s, DROP COLUMN max_lifetime_s,"
        " DROP COLUMN upstream_act"
    )
