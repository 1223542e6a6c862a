"""create resource pairs

What of one resource server allows what of another, so that a service may trade a token for its own audience for one for the
next. A token keeps the pairs by which its chain came to its audience.
"""

from alembic import op

from migrations import steps

revision = "create_resource_pairs"
down_revision = "name_runners"
branch_labels = None
depends_on = None

loses = "pairs of resource servers, and the tokens that crossed from one to the other"  # on the way down

PAIRS = """
CREATE TABLE resource_pairs (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    scopes JSONB DEFAULT '{}' NOT NULL,
    authorization_details_types JSONB DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_resource_pairs PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_resource_pairs_tenant_id_source_target UNIQUE (tenant_id, source, target),
    CONSTRAINT fk_resource_pairs_tenant_id_source FOREIGN KEY(tenant_id, source)
        REFERENCES resources (tenant_id, audience),
    CONSTRAINT fk_resource_pairs_tenant_id_target FOREIGN KEY(tenant_id, target)
        REFERENCES resources (tenant_id, audience)
);
CREATE INDEX ix_resource_pairs_target ON resource_pairs (tenant_id, target, source) WHERE source IS NOT NULL;
ALTER TABLE resource_pairs ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_pairs FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_pairs ALTER COLUMN tenant_id SET (n_distinct = 1);
CREATE POLICY tenant_wall ON resource_pairs TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON resource_pairs TO identity_app
"""
CROSSED = "ALTER TABLE tokens ADD COLUMN IF NOT EXISTS pair_ids UUID[] DEFAULT '{}' NOT NULL"
# The version before knows no pair that may be deleted under a token.
TOKENS = (
    "DELETE FROM tokens t USING batch b WHERE t.tenant_id = tenant AND t.jti = b.jti AND cardinality(t.pair_ids) > 0"
)


def upgrade() -> None:
    steps.once(steps.lacks_table("resource_pairs"), PAIRS)
    steps.alone(CROSSED)


def downgrade() -> None:
    steps.each_batch("tokens", ("jti",), TOKENS)
    op.execute("ALTER TABLE tokens DROP COLUMN pair_ids")
    op.execute("DROP TABLE resource_pairs")
