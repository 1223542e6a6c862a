"""create foundation

Every table with its row-level security, and the two roles that may use it: ``identity_app`` (web and workers, one
tenant at a time) and ``identity_relay`` (sees that there is work, for every tenant, and nothing else).
"""

from alembic import op

revision = "create_foundation"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE events (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    type TEXT NOT NULL,
    outcome TEXT NOT NULL,
    caller_kind TEXT NOT NULL,
    caller_id TEXT,
    subject_id UUID,
    actor_ids UUID[] DEFAULT '{}' NOT NULL,
    txn UUID,
    reason TEXT,
    request_id TEXT,
    detail JSONB DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (tenant_id, id)
);
CREATE INDEX ix_events_subject ON events (tenant_id, subject_id, id);
CREATE INDEX ix_events_txn ON events (tenant_id, txn, id) WHERE txn IS NOT NULL;
CREATE INDEX ix_events_type ON events (tenant_id, type, id);

CREATE TABLE idempotency_keys (
    tenant_id UUID NOT NULL,
    caller TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    request_hash BYTEA NOT NULL,
    status INTEGER,
    sealed_answer BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (tenant_id, caller, key_hash)
);

CREATE TABLE tenants (
    tenant_id UUID NOT NULL,
    slug TEXT NOT NULL,
    display_name TEXT NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL,
    task_lifetime_max_s INTEGER DEFAULT '300' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_tenants PRIMARY KEY (tenant_id),
    CONSTRAINT uq_tenants_slug UNIQUE (slug),
    CONSTRAINT ck_tenants_task_lifetime CHECK (task_lifetime_max_s between 1 and 300)
);

CREATE TABLE connections (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    dialect TEXT,
    issuer TEXT,
    jwks_uri TEXT,
    jwks JSONB,
    audiences TEXT[] DEFAULT '{}' NOT NULL,
    subject_claim TEXT,
    match TEXT,
    provisioned_by UUID,
    version BIGINT DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_connections PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_connections_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    CONSTRAINT fk_connections_tenant_id_provisioned_by FOREIGN KEY(tenant_id, provisioned_by) REFERENCES connections (tenant_id, id)
);
CREATE UNIQUE INDEX uq_connections_issuer ON connections (tenant_id, issuer) WHERE kind = 'oidc' AND ended_at IS NULL;

CREATE TABLE cutoffs (
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT,
    CONSTRAINT pk_cutoffs PRIMARY KEY (tenant_id, kind, key),
    CONSTRAINT fk_cutoffs_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);
CREATE INDEX ix_cutoffs_not_before ON cutoffs (tenant_id, not_before) WHERE not_before IS NOT NULL;

CREATE TABLE resources (
    tenant_id UUID NOT NULL,
    audience TEXT NOT NULL,
    scopes TEXT[] NOT NULL,
    authorization_details_types TEXT[] DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_resources PRIMARY KEY (tenant_id, audience),
    CONSTRAINT fk_resources_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE signing_keys (
    tenant_id UUID NOT NULL,
    kid TEXT NOT NULL,
    alg TEXT NOT NULL,
    state TEXT NOT NULL,
    public_jwk JSONB NOT NULL,
    sealed_private BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    activates_at TIMESTAMP WITH TIME ZONE NOT NULL,
    verify_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_signing_keys PRIMARY KEY (tenant_id, kid),
    CONSTRAINT fk_signing_keys_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id)
);

CREATE TABLE connection_tokens (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    connection_id UUID NOT NULL,
    hash BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_connection_tokens PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_connection_tokens_tenant_id_connection_id FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id),
    CONSTRAINT uq_connection_tokens_tenant_id_hash UNIQUE (tenant_id, hash)
);

CREATE TABLE principals (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    connection_id UUID,
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    external_id TEXT,
    display_name TEXT,
    display_name_key TEXT,
    document JSONB NOT NULL,
    valid_from TIMESTAMP WITH TIME ZONE,
    valid_until TIMESTAMP WITH TIME ZONE,
    version BIGINT DEFAULT '1' NOT NULL,
    observed_version BIGINT DEFAULT '0' NOT NULL,
    epoch BIGINT DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_principals PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_principals_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    CONSTRAINT fk_principals_tenant_id_connection_id FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id),
    CONSTRAINT ck_principals_kind CHECK (kind in ('user', 'group', 'agent', 'service_account'))
);
CREATE INDEX ix_principals_display_name ON principals (tenant_id, kind, display_name_key);
CREATE INDEX ix_principals_external_id ON principals (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX ix_principals_kind ON principals (tenant_id, kind, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_principals_valid_until ON principals (tenant_id, valid_until) WHERE valid_until IS NOT NULL AND state = 'active';
CREATE UNIQUE INDEX uq_principals_external_id ON principals (tenant_id, connection_id, kind, external_id) WHERE deleted_at IS NULL AND external_id IS NOT NULL;
CREATE UNIQUE INDEX uq_principals_name ON principals (tenant_id, kind, name_key) WHERE deleted_at IS NULL AND kind <> 'group';

CREATE TABLE clients (
    tenant_id UUID NOT NULL,
    client_id TEXT NOT NULL,
    client_name TEXT,
    principal_id UUID,
    audience TEXT,
    token_endpoint_auth_method TEXT NOT NULL,
    secret_hash BYTEA,
    jwks JSONB,
    scopes TEXT[] DEFAULT '{}' NOT NULL,
    grant_types TEXT[] DEFAULT '{}' NOT NULL,
    version BIGINT DEFAULT '1' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_clients PRIMARY KEY (tenant_id, client_id),
    CONSTRAINT fk_clients_tenant_id FOREIGN KEY(tenant_id) REFERENCES tenants (tenant_id),
    CONSTRAINT fk_clients_tenant_id_principal_id FOREIGN KEY(tenant_id, principal_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_clients_tenant_id_audience FOREIGN KEY(tenant_id, audience) REFERENCES resources (tenant_id, audience)
);
CREATE INDEX ix_clients_principal ON clients (tenant_id, principal_id) WHERE principal_id IS NOT NULL;

CREATE TABLE delegations (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    actor_id UUID NOT NULL,
    subject_id UUID,
    subject_group_id UUID,
    resource TEXT NOT NULL,
    scopes TEXT[] DEFAULT '{}' NOT NULL,
    authorization_details JSONB DEFAULT '[]' NOT NULL,
    max_lifetime_s INTEGER NOT NULL,
    max_depth INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    ended_reason TEXT,
    CONSTRAINT pk_delegations PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_delegations_tenant_id_actor_id FOREIGN KEY(tenant_id, actor_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_delegations_tenant_id_subject_id FOREIGN KEY(tenant_id, subject_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_delegations_tenant_id_subject_group_id FOREIGN KEY(tenant_id, subject_group_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_delegations_tenant_id_resource FOREIGN KEY(tenant_id, resource) REFERENCES resources (tenant_id, audience),
    CONSTRAINT ck_delegations_one_subject CHECK ((subject_id IS NULL) <> (subject_group_id IS NULL))
);
CREATE INDEX ix_delegations_actor ON delegations (tenant_id, actor_id, resource) WHERE ended_at IS NULL;
CREATE INDEX ix_delegations_group ON delegations (tenant_id, subject_group_id) WHERE ended_at IS NULL;
CREATE INDEX ix_delegations_subject ON delegations (tenant_id, subject_id) WHERE ended_at IS NULL;

CREATE TABLE federated_subjects (
    tenant_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    subject TEXT NOT NULL,
    principal_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_federated_subjects PRIMARY KEY (tenant_id, connection_id, subject),
    CONSTRAINT fk_federated_subjects_tenant_id_connection_id FOREIGN KEY(tenant_id, connection_id) REFERENCES connections (tenant_id, id),
    CONSTRAINT fk_federated_subjects_tenant_id_principal_id FOREIGN KEY(tenant_id, principal_id) REFERENCES principals (tenant_id, id)
);
CREATE INDEX ix_federated_subjects_principal ON federated_subjects (tenant_id, principal_id);

CREATE TABLE group_members (
    tenant_id UUID NOT NULL,
    group_id UUID NOT NULL,
    member_id UUID NOT NULL,
    added_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_group_members PRIMARY KEY (tenant_id, group_id, member_id),
    CONSTRAINT fk_group_members_tenant_id_group_id FOREIGN KEY(tenant_id, group_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_group_members_tenant_id_member_id FOREIGN KEY(tenant_id, member_id) REFERENCES principals (tenant_id, id)
);
CREATE INDEX ix_group_members_member ON group_members (tenant_id, member_id);

CREATE TABLE outbox (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    principal_id UUID NOT NULL,
    kind TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    available_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    done_at TIMESTAMP WITH TIME ZONE,
    dead_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    CONSTRAINT pk_outbox PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_outbox_tenant_id_principal_id FOREIGN KEY(tenant_id, principal_id) REFERENCES principals (tenant_id, id)
);
CREATE INDEX ix_outbox_due ON outbox (available_at) WHERE done_at IS NULL AND dead_at IS NULL;

CREATE TABLE principal_emails (
    tenant_id UUID NOT NULL,
    principal_id UUID NOT NULL,
    position INTEGER NOT NULL,
    value_key TEXT NOT NULL,
    type TEXT,
    CONSTRAINT pk_principal_emails PRIMARY KEY (tenant_id, principal_id, position),
    CONSTRAINT fk_principal_emails_tenant_id_principal_id FOREIGN KEY(tenant_id, principal_id) REFERENCES principals (tenant_id, id)
);
CREATE INDEX ix_principal_emails_value ON principal_emails (tenant_id, value_key);

CREATE TABLE principal_owners (
    tenant_id UUID NOT NULL,
    principal_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_principal_owners PRIMARY KEY (tenant_id, principal_id, owner_id),
    CONSTRAINT fk_principal_owners_tenant_id_principal_id FOREIGN KEY(tenant_id, principal_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_principal_owners_tenant_id_owner_id FOREIGN KEY(tenant_id, owner_id) REFERENCES principals (tenant_id, id)
);
CREATE INDEX ix_principal_owners_owner ON principal_owners (tenant_id, owner_id);

CREATE TABLE tasks (
    tenant_id UUID NOT NULL,
    txn UUID NOT NULL,
    subject_id UUID NOT NULL,
    actor_id UUID NOT NULL,
    delegation_id UUID NOT NULL,
    audience TEXT NOT NULL,
    scopes TEXT[] NOT NULL,
    authorization_details JSONB DEFAULT '[]' NOT NULL,
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tasks PRIMARY KEY (tenant_id, txn),
    CONSTRAINT fk_tasks_tenant_id_subject_id FOREIGN KEY(tenant_id, subject_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_tasks_tenant_id_actor_id FOREIGN KEY(tenant_id, actor_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_tasks_tenant_id_delegation_id FOREIGN KEY(tenant_id, delegation_id) REFERENCES delegations (tenant_id, id)
);
CREATE INDEX ix_tasks_actor ON tasks (tenant_id, actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX ix_tasks_subject ON tasks (tenant_id, subject_id) WHERE subject_id IS NOT NULL;

CREATE TABLE used_assertions (
    tenant_id UUID NOT NULL,
    client_id TEXT NOT NULL,
    jti_hash BYTEA NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_used_assertions PRIMARY KEY (tenant_id, client_id, jti_hash),
    CONSTRAINT fk_used_assertions_tenant_id_client_id FOREIGN KEY(tenant_id, client_id) REFERENCES clients (tenant_id, client_id)
);
CREATE INDEX ix_used_assertions_expires_at ON used_assertions (tenant_id, expires_at);

CREATE TABLE tokens (
    tenant_id UUID NOT NULL,
    jti UUID NOT NULL,
    txn UUID,
    client_id TEXT NOT NULL,
    subject_id UUID NOT NULL,
    actor_ids UUID[] DEFAULT '{}' NOT NULL,
    ancestor_ids UUID[] DEFAULT '{}' NOT NULL,
    delegation_ids UUID[] DEFAULT '{}' NOT NULL,
    client_ids TEXT[] DEFAULT '{}' NOT NULL,
    party_ids UUID[] NOT NULL,
    epoch_sum BIGINT NOT NULL,
    depth_max INTEGER DEFAULT '0' NOT NULL,
    audience TEXT NOT NULL,
    scopes TEXT[] NOT NULL,
    authorization_details JSONB DEFAULT '[]' NOT NULL,
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tokens PRIMARY KEY (tenant_id, jti),
    CONSTRAINT fk_tokens_tenant_id_client_id FOREIGN KEY(tenant_id, client_id) REFERENCES clients (tenant_id, client_id),
    CONSTRAINT fk_tokens_tenant_id_subject_id FOREIGN KEY(tenant_id, subject_id) REFERENCES principals (tenant_id, id),
    CONSTRAINT fk_tokens_tenant_id_txn FOREIGN KEY(tenant_id, txn) REFERENCES tasks (tenant_id, txn)
);
CREATE INDEX ix_tokens_expires_at ON tokens (tenant_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX ix_tokens_txn ON tokens (tenant_id, txn) WHERE txn IS NOT NULL;
"""

# Roles belong to the whole cluster: another database's migration may have made them a moment ago.
# Where it was made beforehand, and granted, the owner of the tables needs no right to make roles.
ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$
BEGIN
    IF NOT pg_has_role(current_user, '{role}', 'USAGE') THEN  -- its rights too: to create a role gives the right to grant it
        GRANT {role} TO CURRENT_USER;
    END IF;
END $$
"""

# An unset tenant is an error or an empty string, never a match: the wall fails closed.
WALL = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_wall ON {table} TO PUBLIC
    USING (tenant_id = current_setting('app.tenant')::uuid)
    WITH CHECK (tenant_id = current_setting('app.tenant')::uuid);
GRANT {grants} ON {table} TO identity_app
"""

GRANTS = {
    "tenants": "SELECT, INSERT, UPDATE",
    "connections": "SELECT, INSERT, UPDATE",
    "connection_tokens": "SELECT, INSERT, UPDATE",
    "principals": "SELECT, INSERT, UPDATE",
    "principal_emails": "SELECT, INSERT, DELETE",
    "principal_owners": "SELECT, INSERT, DELETE",
    "group_members": "SELECT, INSERT, DELETE",
    "federated_subjects": "SELECT, INSERT, DELETE",
    "resources": "SELECT, INSERT, UPDATE",
    "clients": "SELECT, INSERT, UPDATE",
    "used_assertions": "SELECT, INSERT, DELETE",
    "delegations": "SELECT, INSERT, UPDATE",
    "tasks": "SELECT, INSERT, UPDATE",
    "tokens": "SELECT, INSERT, UPDATE, DELETE",
    "cutoffs": "SELECT, INSERT, UPDATE",
    "signing_keys": "SELECT, INSERT, UPDATE",
    "events": "SELECT, INSERT",  # append-only: nobody who serves requests can rewrite history
    "outbox": "SELECT, INSERT, UPDATE, DELETE",
    "idempotency_keys": "SELECT, INSERT, UPDATE, DELETE",
}

# Plans are made for any tenant. Let them suit the largest, not the average, which may be an empty trial: then no plan
# rather goes through all of a tenant than through the index of what is asked.
STATISTICS = "ALTER TABLE {table} ALTER COLUMN tenant_id SET (n_distinct = 1)"

# Policies are OR-ed. A slug is public (it is in every URL), so who asks may find the tenant that it names; and the
# relay may see and mark outbox rows of all tenants, which hold ids only.
DOORS = """
CREATE POLICY registry ON tenants FOR SELECT TO identity_app USING (true);
CREATE POLICY relay ON outbox TO identity_relay USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON outbox TO identity_relay
"""

WAKE = """
CREATE FUNCTION outbox_wake() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('outbox', ''); RETURN NULL; END $$;
CREATE TRIGGER outbox_wake AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_wake()
"""


def upgrade() -> None:
    op.execute(TABLES)
    for role in ("identity_app", "identity_relay"):
        op.execute(ROLE.format(role=role))
    for table, grants in GRANTS.items():
        op.execute(WALL.format(table=table, grants=grants))
        op.execute(STATISTICS.format(table=table))
    op.execute(DOORS)
    op.execute(WAKE)


def downgrade() -> None:
    for table in reversed(GRANTS):
        op.execute(f"DROP TABLE {table} CASCADE")
    op.execute("DROP FUNCTION outbox_wake")
