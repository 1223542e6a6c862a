"""Tables of what a tenant defines: schemas, resource types, and the values that are unique by them."""

from sqlalchemy import BigInteger, Column, Integer, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from identity.store.tables.schema import Instant, index_of, refers, tenant_table

# One row is one version, and never changes. ``key`` is the id in lower case.
schemas = tenant_table(
    "schemas",
    Column("key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("created_at", Instant, nullable=False),
    refers((), "tenants", ()),
    key=("key", "version"),
)

# Without endpoint and schema: one of ours, and what extends it here. ``key`` is the name in lower case.
resource_types = tenant_table(
    "resource_types",
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("endpoint", Text),
    Column("endpoint_key", Text),
    Column("description", Text, nullable=False),
    Column("schema", Text),
    Column("extensions", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    refers((), "tenants", ()),
    UniqueConstraint("tenant_id", "endpoint_key"),
    key=("key",),
)

principal_keys = tenant_table(
    "principal_keys",
    Column("kind", Text, nullable=False),
    Column("attribute", Text, nullable=False),
    Column("value_key", Text, nullable=False),
    Column("principal_id", Uuid, nullable=False),
    refers(("principal_id",), "principals", ("id",)),
    index_of("ix_principal_keys_principal", "tenant_id", "principal_id"),
    key=("kind", "attribute", "value_key"),
)
