"""create async requests

Requests whose answers nobody waits for, until a worker has done them and for a day longer; and what became of each of
their operations, written with what it changed. The outbox row that asks for one has its id, and no principal.
"""

from alembic import op

from migrations import steps

revision = "create_async_requests"
down_revision = "create_provisioning_events"
branch_labels = None
depends_on = None

loses = "asynchronous requests and their reports"  # on the way down

# What the first of the tables refers to, in the order in which requests lock it.
LOCK = "LOCK TABLE connections, clients IN SHARE ROW EXCLUSIVE MODE"

REQUESTS = """
CREATE TABLE async_requests (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    connection_id UUID NOT NULL,
    client_id TEXT,
    request_id TEXT NOT NULL,
    sealed_body BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    done_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_async_requests PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_async_requests_tenant_id_connection_id FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id),
    CONSTRAINT fk_async_requests_tenant_id_client_id FOREIGN KEY(tenant_id, client_id) REFERENCES clients (tenant_id, client_id)
);
CREATE INDEX ix_async_requests_pending ON async_requests (tenant_id, connection_id) WHERE done_at IS NULL;
CREATE INDEX ix_async_requests_done_at ON async_requests (tenant_id, done_at) WHERE done_at IS NOT NULL
"""
REPORTS = """
CREATE TABLE async_reports (
    tenant_id UUID NOT NULL,
    async_request_id UUID NOT NULL,
    place INTEGER NOT NULL,
    report JSONB NOT NULL,
    event_id UUID NOT NULL,
    CONSTRAINT pk_async_reports PRIMARY KEY (tenant_id, async_request_id, place),
    CONSTRAINT fk_async_reports_tenant_id_async_request_id FOREIGN KEY(tenant_id, async_request_id) REFERENCES async_requests (tenant_id, id)
)
"""
OUTBOX = "ALTER TABLE outbox ALTER COLUMN principal_id DROP NOT NULL"

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
    "async_requests": (REQUESTS, "SELECT, INSERT, UPDATE, DELETE"),
    "async_reports": (REPORTS, "SELECT, INSERT, DELETE"),
}

# What the version before could not read.
NAMELESS = "DELETE FROM outbox o USING batch b WHERE o.tenant_id = tenant AND o.id = b.id AND o.principal_id IS NULL"


def upgrade() -> None:
    for table, (definition, grants) in TABLES.items():
        steps.once(steps.lacks_table(table), LOCK, definition, WALL.format(table=table, grants=grants))
    steps.alone(OUTBOX)


def downgrade() -> None:
    steps.each_batch("outbox", ("id",), NAMELESS)
    op.execute("ALTER TABLE outbox ALTER COLUMN principal_id SET NOT NULL")
    op.execute("DROP TABLE async_reports")
    op.execute("DROP TABLE async_requests")
