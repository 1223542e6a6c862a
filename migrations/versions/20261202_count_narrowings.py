"""count narrowings

What a token rests on may come to allow less: delegations, resource servers, pairs of them and oidc connections have an epoch, which
grows then, and a token keeps the sum of those that it rests on. Resource servers may be deleted: they count how often, and what
rests on one keeps the count, so that what ended stays ended when the same audience is registered anew. A delegation says who
granted it.
"""

from alembic import op

from migrations import steps

revision = "count_narrowings"
down_revision = "create_resource_pairs"
branch_labels = None
depends_on = None

loses = "which resource servers were deleted, and every token; who granted a delegation"  # on the way down

COLUMNS = (
    """
ALTER TABLE resources ADD COLUMN IF NOT EXISTS retired_types TEXT[] DEFAULT '{}' NOT NULL,
    ADD COLUMN IF NOT EXISTS version BIGINT DEFAULT 1 NOT NULL,
    ADD COLUMN IF NOT EXISTS epoch BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS end_count BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS deleted_at TIMESTAMP WITH TIME ZONE
""",
    """
ALTER TABLE resource_pairs ADD COLUMN IF NOT EXISTS version BIGINT DEFAULT 1 NOT NULL,
    ADD COLUMN IF NOT EXISTS epoch BIGINT DEFAULT 0 NOT NULL
""",
    """
ALTER TABLE delegations ADD COLUMN IF NOT EXISTS granted_by TEXT DEFAULT 'administrator' NOT NULL,
    ADD COLUMN IF NOT EXISTS version BIGINT DEFAULT 1 NOT NULL,
    ADD COLUMN IF NOT EXISTS epoch BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN IF NOT EXISTS resource_end_count BIGINT DEFAULT 0 NOT NULL
""",
    "ALTER TABLE clients ADD COLUMN IF NOT EXISTS audience_end_count BIGINT DEFAULT 0 NOT NULL",
    "ALTER TABLE connections ADD COLUMN IF NOT EXISTS epoch BIGINT DEFAULT 0 NOT NULL",
    "ALTER TABLE tokens ADD COLUMN IF NOT EXISTS basis_epoch_sum BIGINT DEFAULT 0 NOT NULL",
)

# The version before knows neither epochs nor deleted resource servers: what ended is written down as ended.
TOKENS = "DELETE FROM tokens t USING batch b WHERE t.tenant_id = tenant AND t.jti = b.jti"
DELEGATIONS = """
        UPDATE delegations d SET ended_at = coalesce(r.deleted_at, r.created_at), ended_reason = 'resource_deleted'
          FROM batch b, resources r
         WHERE d.tenant_id = tenant AND d.id = b.id AND d.ended_at IS NULL AND r.tenant_id = tenant
           AND r.audience = d.resource AND r.end_count <> d.resource_end_count
"""
CLIENTS = """UPDATE clients c SET revoked_at = coalesce(r.deleted_at, r.created_at), version = c.version + 1 FROM resources r
         WHERE c.tenant_id = tenant AND c.revoked_at IS NULL AND r.tenant_id = tenant AND r.audience = c.audience
           AND r.end_count <> c.audience_end_count"""


def upgrade() -> None:
    for columns in COLUMNS:
        steps.alone(columns)


def downgrade() -> None:
    steps.each_batch("tokens", ("jti",), TOKENS)
    steps.each_batch("delegations", ("id",), DELEGATIONS)
    steps.each_tenant(CLIENTS)
    op.execute("ALTER TABLE tokens DROP COLUMN basis_epoch_sum")
    op.execute("ALTER TABLE connections DROP COLUMN epoch")
    op.execute("ALTER TABLE clients DROP COLUMN audience_end_count")
    op.execute("ALTER TABLE delegations DROP COLUMN granted_by, DROP COLUMN version, DROP COLUMN epoch,"
               " DROP COLUMN resource_end_count")  # fmt: skip
    op.execute("ALTER TABLE resource_pairs DROP COLUMN version, DROP COLUMN epoch")
    op.execute("ALTER TABLE resources DROP COLUMN retired_types, DROP COLUMN version, DROP COLUMN epoch,"
               " DROP COLUMN end_count, DROP COLUMN deleted_at")  # fmt: skip
