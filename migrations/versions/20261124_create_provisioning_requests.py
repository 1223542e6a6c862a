"""create provisioning requests

The provisioning log: what each source asked and what became of it, for a week. It may be deleted, because it shows
persons; what must last is in the audit trail.
"""

from alembic import op

revision = "create_provisioning_requests"
down_revision = "create_principal_counts"
branch_labels = None
depends_on = None

loses = "the provisioning log"  # on the way down

TABLE = """
CREATE TABLE provisioning_requests (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    connection_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    request_id TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    resource_type TEXT,
    principal_id UUID,
    name TEXT,
    name_key TEXT,
    body JSONB,
    changes JSONB DEFAULT '[]' NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    scim_type TEXT,
    reason TEXT,
    detail TEXT,
    duration_ms INTEGER NOT NULL,
    CONSTRAINT pk_provisioning_requests PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_provisioning_requests_tenant_id_connection_id FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id)
);
CREATE INDEX ix_provisioning_requests_connection ON provisioning_requests (tenant_id, connection_id, id);
CREATE INDEX ix_provisioning_requests_at ON provisioning_requests (tenant_id, at)
"""

# An unset tenant is an error or an empty string, never a match: the wall fails closed.
WALL = """
ALTER TABLE provisioning_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE provisioning_requests FORCE ROW LEVEL SECURITY;
ALTER TABLE provisioning_requests ALTER COLUMN tenant_id SET (n_distinct = 1);
CREATE POLICY tenant_wall ON provisioning_requests TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT SELECT, INSERT, DELETE ON provisioning_requests TO identity_app
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(WALL)


def downgrade() -> None:
    op.execute("DROP TABLE provisioning_requests")
