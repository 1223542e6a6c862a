"""Tables of the directory: tenants, connections, principals, groups."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from identity.store.tables.schema import EMPTY_ARRAY, TEXTS, Instant, index_of, refers, tenant_table

tenants = tenant_table(
    "tenants",
    Column("slug", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("task_lifetime_max_s", Integer, nullable=False, server_default="300"),
    Column("max_task_s", Integer, nullable=False, server_default="86400"),
    Column("catalogue_version", BigInteger, nullable=False, server_default="0"),  # of schemas and resource types
    Column("created_at", Instant, nullable=False),
    # The registry of tenants is the one place whose uniqueness crosses them: a slug names one issuer.
    UniqueConstraint("slug"),
    CheckConstraint("task_lifetime_max_s between 1 and 300", name="task_lifetime"),
    key=(),
)

connections = tenant_table(
    "connections",
    Column("id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("dialect", Text),
    Column("issuer", Text),
    Column("jwks_uri", Text),
    Column("jwks", JSONB(none_as_null=True)),
    Column("audiences", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("subject_claim", Text),
    Column("match", Text),
    Column("provisioned_by", Uuid),
    Column("token_kinds", TEXTS, nullable=False, server_default=text("'{id_token,access_token}'")),
    Column("max_age_s", Integer, nullable=False, server_default="86400"),
    Column("max_lifetime_s", Integer, nullable=False, server_default="86400"),
    Column("upstream_act", Text, nullable=False, server_default=text("'refuse'")),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
    refers((), "tenants", ()),
    refers(("provisioned_by",), "connections", ("id",)),
    Index("uq_connections_issuer", "tenant_id", "issuer", unique=True,
          postgresql_where=text("kind = 'oidc' AND ended_at IS NULL")),
    Index("ix_connections_name", "tenant_id", "name", "id"),
    key=("id",),
)  # fmt: skip

connection_tokens = tenant_table(
    "connection_tokens",
    Column("id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    refers(("connection_id",), "connections", ("id",)),
    UniqueConstraint("tenant_id", "hash"),
    key=("id",),
)

principals = tenant_table(
    "principals",
    Column("id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("connection_id", Uuid),
    Column("state", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("external_id", Text),
    Column("display_name", Text),
    Column("display_name_key", Text),
    Column("document", JSONB, nullable=False),
    Column("valid_from", Instant),
    Column("valid_until", Instant),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("observed_version", BigInteger, nullable=False, server_default="0"),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("end_count", BigInteger, nullable=False, server_default="0"),
    Column("ended_at", Instant),  # when the end counter was raised last
    Column("was_owned", Boolean, nullable=False, server_default=text("false")),
    Column("is_held", Boolean, nullable=False, server_default=text("false")),
    Column("is_protected", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    refers((), "tenants", ()),
    refers(("connection_id",), "connections", ("id",)),
    CheckConstraint(
        "kind in ('user', 'group', 'agent', 'service_account') OR kind ~ '^custom:[A-Za-z][A-Za-z0-9]{0,63}$'",
        name="kind",
    ),
    Index("uq_principals_name", "tenant_id", "kind", "name_key", unique=True,
          postgresql_where=text("deleted_at IS NULL AND kind <> 'group'")),
    Index("uq_principals_external_id", "tenant_id", "connection_id", "kind", "external_id", unique=True,
          postgresql_where=text("deleted_at IS NULL AND external_id IS NOT NULL")),
    Index("ix_principals_kind", "tenant_id", "kind", "id", postgresql_where=text("deleted_at IS NULL")),
    Index("ix_principals_state", "tenant_id", "kind", "state", "id", postgresql_where=text("deleted_at IS NULL")),
    Index("ix_principals_group_name", "tenant_id", "name_key",
          postgresql_where=text("deleted_at IS NULL AND kind = 'group'")),
    index_of("ix_principals_external_id", "tenant_id", "external_id"),
    Index("ix_principals_display_name", "tenant_id", "kind", "display_name_key"),
    Index("ix_principals_protected", "tenant_id", "id", postgresql_where=text("is_protected")),
    Index("ix_principals_valid_until", "tenant_id", "valid_until",
          postgresql_where=text("valid_until IS NOT NULL AND state = 'active'")),
    key=("id",),
)  # fmt: skip

# How many principals of a kind live, in slots: who writes at the same time writes different rows. Kept by triggers.
principal_counts = tenant_table(
    "principal_counts",
    Column("kind", Text, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("living", BigInteger, nullable=False),
    key=("kind", "slot"),
)

principal_emails = tenant_table(
    "principal_emails",
    Column("principal_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("value_key", Text, nullable=False),
    Column("type", Text),
    refers(("principal_id",), "principals", ("id",)),
    Index("ix_principal_emails_value", "tenant_id", "value_key"),
    key=("principal_id", "position"),
)

principal_owners = tenant_table(
    "principal_owners",
    Column("principal_id", Uuid, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("since", Instant, nullable=False),
    refers(("principal_id",), "principals", ("id",)),
    refers(("owner_id",), "principals", ("id",)),
    Index("ix_principal_owners_of", "tenant_id", "owner_id", "principal_id"),
    key=("principal_id", "owner_id"),
)

# ``nested_in`` is the group again where the member is one, too: groups within a group are found by it alone.
group_members = tenant_table(
    "group_members",
    Column("group_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("source_id", Uuid, nullable=False, server_default=text("'00000000-0000-0000-0000-000000000000'")),
    Column("nested_in", Uuid),
    Column("added_at", Instant, nullable=False),
    Column("id", Uuid, server_default=text("gen_random_uuid()")),  # none: from before memberships had one
    refers(("group_id",), "principals", ("id",)),
    refers(("member_id",), "principals", ("id",)),
    Index("ix_group_members_of", "tenant_id", "member_id", "source_id", "group_id"),
    Index("ix_group_members_nested", "tenant_id", "nested_in", "member_id",
          postgresql_where=text("nested_in IS NOT NULL")),
    key=("group_id", "member_id"),
)  # fmt: skip

federated_subjects = tenant_table(
    "federated_subjects",
    Column("connection_id", Uuid, nullable=False),
    Column("subject", Text, nullable=False),
    Column("principal_id", Uuid, nullable=False),
    Column("created_at", Instant, nullable=False),
    refers(("connection_id",), "connections", ("id",)),
    refers(("principal_id",), "principals", ("id",)),
    Index("ix_federated_subjects_principal", "tenant_id", "principal_id"),
    key=("connection_id", "subject"),
)
