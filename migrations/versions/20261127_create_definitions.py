"""create definitions

Schemas and resource types that a tenant defines, and the values that such a schema says are unique. A tenant's
``catalogue_version`` grows with every change to them: whoever keeps a parsed catalogue sees by it, without a question of
its own, whether it still holds.
"""

from alembic import op

from migrations import steps

revision = "create_definitions"
down_revision = "create_provisioning_requests"
branch_labels = None
depends_on = None

loses = "schemas and resource types that tenants define, and their unique values"  # on the way down

SCHEMAS = """
CREATE TABLE schemas (
    tenant_id UUID NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    id TEXT NOT NULL,
    document JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_schemas PRIMARY KEY (tenant_id, key, version),
    CONSTRAINT fk_schemas_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
)
"""
RESOURCE_TYPES = """
CREATE TABLE resource_types (
    tenant_id UUID NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    endpoint TEXT,
    endpoint_key TEXT,
    description TEXT NOT NULL,
    schema TEXT,
    extensions JSONB NOT NULL,
    version BIGINT DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_resource_types PRIMARY KEY (tenant_id, key),
    CONSTRAINT uq_resource_types_tenant_id_endpoint_key UNIQUE (tenant_id, endpoint_key),
    CONSTRAINT fk_resource_types_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
)
"""
PRINCIPAL_KEYS = """
CREATE TABLE principal_keys (
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    attribute TEXT NOT NULL,
    value_key TEXT NOT NULL,
    principal_id UUID NOT NULL,
    CONSTRAINT pk_principal_keys PRIMARY KEY (tenant_id, kind, attribute, value_key),
    CONSTRAINT fk_principal_keys_tenant_id_principal_id FOREIGN KEY(tenant_id, principal_id) REFERENCES principals (tenant_id, id)
);
CREATE INDEX ix_principal_keys_principal ON principal_keys (tenant_id, principal_id) WHERE principal_id IS NOT NULL
"""

# An unset tenant is an error or an empty string, never a match: the wall fails closed.
WALL = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
ALTER TABLE {table} ALTER COLUMN tenant_id SET (n_distinct = 1);
CREATE POLICY tenant_wall ON {table} TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT {grants} ON {table} TO identity_app
"""
TABLES = {
    "schemas": (SCHEMAS, "SELECT, INSERT, DELETE"),  # a version, once written, is what it is
    "resource_types": (RESOURCE_TYPES, "SELECT, INSERT, UPDATE, DELETE"),
    "principal_keys": (PRINCIPAL_KEYS, "SELECT, INSERT, DELETE"),
}

VERSION = "ALTER TABLE tenants ADD COLUMN IF NOT EXISTS catalogue_version BIGINT DEFAULT 0 NOT NULL"

# Checked for new rows at once; the present ones satisfied a narrower rule.
OPEN = """
ALTER TABLE principals DROP CONSTRAINT ck_principals_kind, ADD CONSTRAINT ck_principals_kind
    CHECK (kind in ('user', 'group', 'agent', 'service_account') OR kind ~ '^custom:[A-Za-z][A-Za-z0-9]{0,63}$') NOT VALID
"""

CLOSE = """
ALTER TABLE principals DROP CONSTRAINT ck_principals_kind;
ALTER TABLE principals ADD CONSTRAINT ck_principals_kind
    CHECK (kind in ('user', 'group', 'agent', 'service_account')) NOT VALID;
ALTER TABLE tenants DROP COLUMN catalogue_version
"""


def upgrade() -> None:
    steps.alone(VERSION)
    for table, (definition, grants) in TABLES.items():  # each takes a lock on the one table that it refers to
        steps.once(steps.lacks_table(table), definition, WALL.format(table=table, grants=grants))
    steps.alone(OPEN)


def downgrade() -> None:
    op.execute(CLOSE)
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
