"""name runners

A resource server has an id, and names the principal that runs it, if one does. A client of that principal may have the
resource server's audience besides.
"""

from alembic import op

from migrations import steps

revision = "name_runners"
down_revision = "index_lists"
branch_labels = None
depends_on = None

loses = (
    "the ids of resource servers, and who runs them; the audiences of clients that have a principal"  # on the way down
)

COLUMNS = "ALTER TABLE resources ADD COLUMN IF NOT EXISTS id UUID, ADD COLUMN IF NOT EXISTS principal_id UUID"
# Of rows to come only: what the version before writes has an id, too.
DEFAULT = "ALTER TABLE resources ALTER COLUMN id SET DEFAULT gen_random_uuid()"
NAMED = "UPDATE resources SET id = gen_random_uuid() WHERE tenant_id = tenant AND id IS NULL"

# NOT VALID: they hold for every row to come, and reading those that are there would keep writers waiting.
LOCK = "LOCK TABLE principals, resources IN SHARE ROW EXCLUSIVE MODE"
RUNNER = """
ALTER TABLE resources ADD CONSTRAINT fk_resources_tenant_id_principal_id FOREIGN KEY (tenant_id, principal_id)
    REFERENCES principals (tenant_id, id) NOT VALID
"""
PARTY = """
ALTER TABLE clients DROP CONSTRAINT IF EXISTS ck_clients_one_party, ADD CONSTRAINT ck_clients_party
    CHECK ((connection_id IS NULL) = (num_nonnulls(principal_id, audience) > 0)) NOT VALID
"""
ONE_PARTY = """
ALTER TABLE clients DROP CONSTRAINT ck_clients_party, ADD CONSTRAINT ck_clients_one_party
    CHECK (num_nonnulls(principal_id, audience, connection_id) = 1) NOT VALID
"""
AGENTS_ONLY = """UPDATE clients SET audience = NULL, version = version + 1
         WHERE tenant_id = tenant AND principal_id IS NOT NULL AND audience IS NOT NULL"""


def upgrade() -> None:
    steps.alone(COLUMNS)
    steps.alone(DEFAULT)
    steps.each_tenant(NAMED)
    steps.once(steps.lacks_constraint("resources", "fk_resources_tenant_id_principal_id"), LOCK, RUNNER)
    steps.once(steps.lacks_constraint("clients", "ck_clients_party"), PARTY)
    steps.create_index("ix_resources_id", "resources (tenant_id, id) WHERE id IS NOT NULL")


def downgrade() -> None:
    steps.each_tenant(AGENTS_ONLY)
    op.execute(ONE_PARTY)
    op.execute("DROP INDEX ix_resources_id")
    op.execute("ALTER TABLE resources DROP COLUMN id, DROP COLUMN principal_id")
