"""add clients of connections

A source may prove itself with an OAuth client of its connection instead of the connection's bearer token. Its tokens
are for no principal.
"""

from alembic import op

revision = "add_clients_of_connections"
down_revision = "protect_principals"
branch_labels = None
depends_on = None

# NOT VALID: they hold for every row to come, and reading those that are there would keep writers waiting.
COLUMNS = """
ALTER TABLE clients ADD COLUMN connection_id UUID;
ALTER TABLE clients ADD CONSTRAINT fk_clients_tenant_id_connection_id FOREIGN KEY (tenant_id, connection_id)
    REFERENCES connections (tenant_id, id) NOT VALID;
ALTER TABLE clients ADD CONSTRAINT ck_clients_one_party
    CHECK (num_nonnulls(principal_id, audience, connection_id) = 1) NOT VALID;
ALTER TABLE tokens ALTER COLUMN subject_id DROP NOT NULL;
ALTER TABLE tokens ADD CONSTRAINT ck_tokens_parties
    CHECK (subject_id IS NOT NULL OR cardinality(party_ids) = 0) NOT VALID
"""

# Not CONCURRENTLY: no row is in it yet, and clients are few.
INDEX = "CREATE INDEX ix_clients_connection ON clients (tenant_id, connection_id) WHERE connection_id IS NOT NULL"

# What the version before could not read. Row-level security binds the owner too, and there is no one tenant here.
DELETIONS = """
ALTER TABLE tokens NO FORCE ROW LEVEL SECURITY;
ALTER TABLE used_assertions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE clients NO FORCE ROW LEVEL SECURITY;
DELETE FROM tokens WHERE subject_id IS NULL;
DELETE FROM used_assertions u USING clients c
 WHERE c.tenant_id = u.tenant_id AND c.client_id = u.client_id AND c.connection_id IS NOT NULL;
DELETE FROM clients WHERE connection_id IS NOT NULL;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
ALTER TABLE used_assertions FORCE ROW LEVEL SECURITY;
ALTER TABLE tokens FORCE ROW LEVEL SECURITY
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(INDEX)


def downgrade() -> None:
    op.execute(DELETIONS)
    op.execute("ALTER TABLE tokens DROP CONSTRAINT ck_tokens_parties, ALTER COLUMN subject_id SET NOT NULL")
    op.execute("DROP INDEX ix_clients_connection")
    op.execute("ALTER TABLE clients DROP CONSTRAINT ck_clients_one_party, DROP COLUMN connection_id")
