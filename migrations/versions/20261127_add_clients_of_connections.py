"""add clients of connections

A source may prove itself with an OAuth client of its connection instead of the connection's bearer token. Its tokens
are for no principal.
"""

from alembic import op

from migrations import steps

revision = "add_clients_of_connections"
down_revision = "protect_principals"
branch_labels = None
depends_on = None

loses = "clients of connections and their tokens"  # on the way down

COLUMN = "ALTER TABLE clients ADD COLUMN IF NOT EXISTS connection_id UUID"

# NOT VALID: they hold for every row to come, and reading those that are there would keep writers waiting.
# In the order in which requests lock them.
LOCK = "LOCK TABLE connections, clients IN SHARE ROW EXCLUSIVE MODE"
OF_CONNECTIONS = """
ALTER TABLE clients ADD CONSTRAINT fk_clients_tenant_id_connection_id FOREIGN KEY (tenant_id, connection_id)
    REFERENCES connections (tenant_id, id) NOT VALID
"""
ONE_PARTY = """
ALTER TABLE clients ADD CONSTRAINT ck_clients_one_party
    CHECK (num_nonnulls(principal_id, audience, connection_id) = 1) NOT VALID
"""
NO_SUBJECT = """
ALTER TABLE tokens ALTER COLUMN subject_id DROP NOT NULL, ADD CONSTRAINT ck_tokens_parties
    CHECK (subject_id IS NOT NULL OR cardinality(party_ids) = 0) NOT VALID
"""

# What the version before could not read.
TOKENS = "DELETE FROM tokens t USING batch b WHERE t.tenant_id = tenant AND t.jti = b.jti AND t.subject_id IS NULL"
ASSERTIONS = """DELETE FROM used_assertions u USING clients c
         WHERE u.tenant_id = tenant AND c.tenant_id = tenant AND c.client_id = u.client_id AND c.connection_id IS NOT NULL"""
CLIENTS = "DELETE FROM clients WHERE tenant_id = tenant AND connection_id IS NOT NULL"


def upgrade() -> None:
    steps.alone(COLUMN)
    steps.once(steps.lacks_constraint("clients", "fk_clients_tenant_id_connection_id"), LOCK, OF_CONNECTIONS)
    steps.once(steps.lacks_constraint("clients", "ck_clients_one_party"), ONE_PARTY)
    steps.once(steps.lacks_constraint("tokens", "ck_tokens_parties"), NO_SUBJECT)
    steps.create_index("ix_clients_connection", "clients (tenant_id, connection_id) WHERE connection_id IS NOT NULL")


def downgrade() -> None:
    steps.each_batch("tokens", ("jti",), TOKENS)
    for rows in (ASSERTIONS, CLIENTS):
        steps.each_tenant(rows)
    op.execute("ALTER TABLE tokens DROP CONSTRAINT ck_tokens_parties, ALTER COLUMN subject_id SET NOT NULL")
    op.execute("DROP INDEX ix_clients_connection")
    op.execute("ALTER TABLE clients DROP CONSTRAINT ck_clients_one_party, DROP COLUMN connection_id")
