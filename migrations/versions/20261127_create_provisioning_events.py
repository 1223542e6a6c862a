"""create provisioning events

What others are told of the directory's changes, in the form of RFC 9967, for a week: names of attributes, no values.
"""

from alembic import op

revision = "create_provisioning_events"
down_revision = "create_definitions"
branch_labels = None
depends_on = None

loses = "provisioning events that nobody has read yet"  # on the way down

TABLE = """
CREATE TABLE provisioning_events (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    connection_id UUID,
    txn TEXT NOT NULL,
    sub_id JSONB NOT NULL,
    payloads JSONB NOT NULL,
    CONSTRAINT pk_provisioning_events PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_provisioning_events_tenant_id_connection_id FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id)
);
CREATE INDEX ix_provisioning_events_at ON provisioning_events (tenant_id, at)
"""

# An unset tenant is an error or an empty string, never a match: the wall fails closed.
WALL = """
ALTER TABLE provisioning_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE provisioning_events FORCE ROW LEVEL SECURITY;
ALTER TABLE provisioning_events ALTER COLUMN tenant_id SET (n_distinct = 1);
CREATE POLICY tenant_wall ON provisioning_events TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT SELECT, INSERT, DELETE ON provisioning_events TO identity_app
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(WALL)


def downgrade() -> None:
    op.execute("DROP TABLE provisioning_events")
