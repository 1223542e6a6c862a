"""post client secrets

A client may be registered to send its secret in the body (client_secret_post). Programs of before know two methods, so
such a client is stored as one of client_secret_basic, with a mark: they let it in by HTTP Basic, and refuse its secret in
the body, as ever.
"""

from migrations import steps

revision = "post_client_secrets"
down_revision = "say_what_is_served"
branch_labels = None
depends_on = None

loses = "which clients send their secret in the body; they authenticate by HTTP Basic then"  # on the way down


def upgrade() -> None:
    steps.alone("ALTER TABLE clients ADD COLUMN IF NOT EXISTS posts_secret BOOLEAN DEFAULT false NOT NULL")


def downgrade() -> None:
    steps.alone("ALTER TABLE clients DROP COLUMN IF EXISTS posts_secret")
