"""What may be done, by whom, and what was issued for it."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from identity.store.schema import EMPTY_ARRAY, IDS, TEXTS, Instant, index_of, refers, tenant_table

resources = tenant_table(
    "resources",
    Column("audience", Text, nullable=False),
    Column("scopes", TEXTS, nullable=False),
    Column("authorization_details_types", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("authorization_details_scopes", JSONB, nullable=False, server_default=text("'{}'")),
    Column("created_at", Instant, nullable=False),
    refers((), "tenants", ()),
    key=("audience",),
)

clients = tenant_table(
    "clients",
    Column("client_id", Text, nullable=False),
    Column("client_name", Text),
    Column("principal_id", Uuid),
    Column("audience", Text),
    Column("connection_id", Uuid),
    Column("token_endpoint_auth_method", Text, nullable=False),  # client_secret_basic where the next one is true
    Column("posts_secret", Boolean, nullable=False, server_default=text("false")),
    Column("secret_hash", LargeBinary),
    Column("jwks", JSONB(none_as_null=True)),
    Column("scopes", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("grant_types", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("principal_end_count", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    refers((), "tenants", ()),
    refers(("principal_id",), "principals", ("id",)),
    refers(("audience",), "resources", ("audience",)),
    refers(("connection_id",), "connections", ("id",)),
    CheckConstraint("num_nonnulls(principal_id, audience, connection_id) = 1", name="one_party"),
    index_of("ix_clients_principal", "tenant_id", "principal_id"),
    Index(
        "ix_clients_live",
        "tenant_id",
        "principal_id",
        postgresql_where=text("revoked_at IS NULL AND principal_id IS NOT NULL"),
    ),
    index_of("ix_clients_connection", "tenant_id", "connection_id"),
    key=("client_id",),
)

used_assertions = tenant_table(
    "used_assertions",
    Column("client_id", Text, nullable=False),
    Column("jti_hash", LargeBinary, nullable=False),
    Column("expires_at", Instant, nullable=False),
    refers(("client_id",), "clients", ("client_id",)),
    Index("ix_used_assertions_expires_at", "tenant_id", "expires_at"),
    key=("client_id", "jti_hash"),
)

delegations = tenant_table(
    "delegations",
    Column("id", Uuid, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("subject_id", Uuid),
    Column("subject_group_id", Uuid),
    Column("resource", Text, nullable=False),
    Column("scopes", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("authorization_details", JSONB, nullable=False, server_default=text("'[]'")),
    Column("max_lifetime_s", Integer, nullable=False),
    Column("max_depth", Integer, nullable=False),
    Column("actor_end_count", BigInteger, nullable=False, server_default="0"),
    Column("subject_end_count", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("ended_at", Instant),
    Column("ended_reason", Text),
    refers(("actor_id",), "principals", ("id",)),
    refers(("subject_id",), "principals", ("id",)),
    refers(("subject_group_id",), "principals", ("id",)),
    refers(("resource",), "resources", ("audience",)),
    CheckConstraint("(subject_id IS NULL) <> (subject_group_id IS NULL)", name="one_subject"),
    Index("ix_delegations_actor", "tenant_id", "actor_id", "resource", postgresql_where=text("ended_at IS NULL")),
    Index("ix_delegations_actor_group", "tenant_id", "actor_id", "resource", "id",
          postgresql_where=text("ended_at IS NULL AND subject_group_id IS NOT NULL")),
    Index("ix_delegations_person", "tenant_id", "subject_id", "actor_id", "resource",
          postgresql_where=text("ended_at IS NULL AND subject_id IS NOT NULL")),
    Index("ix_delegations_group", "tenant_id", "subject_group_id", postgresql_where=text("ended_at IS NULL")),
    Index("ix_delegations_expiry", "tenant_id", "expires_at", "id", postgresql_where=text("ended_at IS NULL")),
    key=("id",),
)  # fmt: skip

tasks = tenant_table(
    "tasks",
    Column("txn", Uuid, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("delegation_id", Uuid, nullable=False),
    Column("audience", Text, nullable=False),
    Column("scopes", TEXTS, nullable=False),
    Column("authorization_details", JSONB, nullable=False, server_default=text("'[]'")),
    Column("state", Text, nullable=False),
    Column("subject_epoch", BigInteger, nullable=False, server_default="0"),
    Column("actor_epoch", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant),
    refers(("subject_id",), "principals", ("id",)),
    refers(("actor_id",), "principals", ("id",)),
    refers(("delegation_id",), "delegations", ("id",)),
    index_of("ix_tasks_subject", "tenant_id", "subject_id"),
    index_of("ix_tasks_actor", "tenant_id", "actor_id"),
    index_of("ix_tasks_expires_at", "tenant_id", "expires_at"),
    Index("ix_tasks_open_of_subject", "tenant_id", "subject_id", "subject_epoch",
          postgresql_where=text("state = 'open' AND subject_epoch IS NOT NULL")),
    Index("ix_tasks_open_of_actor", "tenant_id", "actor_id", "actor_epoch",
          postgresql_where=text("state = 'open' AND actor_epoch IS NOT NULL")),
    key=("txn",),
)  # fmt: skip

# How many tasks an actor opened in a period of half an hour, in slots: concurrent issuers write different rows.
task_counts = tenant_table(
    "task_counts",
    Column("actor_id", Uuid, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("opened", Integer, nullable=False),
    refers(("actor_id",), "principals", ("id",)),
    index_of("ix_task_counts_period", "tenant_id", "period"),
    key=("actor_id", "period", "slot"),
)

# Without a subject: a token of a connection's client. It speaks for no principal, and none may be taken from it.
tokens = tenant_table(
    "tokens",
    Column("jti", Uuid, nullable=False),
    Column("txn", Uuid),
    Column("client_id", Text, nullable=False),
    Column("subject_id", Uuid),
    Column("actor_ids", IDS, nullable=False, server_default=EMPTY_ARRAY),
    Column("ancestor_ids", IDS, nullable=False, server_default=EMPTY_ARRAY),
    Column("delegation_ids", IDS, nullable=False, server_default=EMPTY_ARRAY),
    Column("client_ids", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("party_ids", IDS, nullable=False),
    Column("epoch_sum", BigInteger, nullable=False),
    Column("depth_max", Integer, nullable=False, server_default="0"),
    Column("audience", Text, nullable=False),
    Column("scopes", TEXTS, nullable=False),
    Column("authorization_details", JSONB, nullable=False, server_default=text("'[]'")),
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("connection_id", Uuid),
    Column("upstream_key", Text),
    Column("upstream", JSONB(none_as_null=True)),
    refers(("client_id",), "clients", ("client_id",)),
    refers(("subject_id",), "principals", ("id",)),
    refers(("txn",), "tasks", ("txn",)),
    CheckConstraint("subject_id IS NOT NULL OR cardinality(party_ids) = 0", name="parties"),
    index_of("ix_tokens_expires_at", "tenant_id", "expires_at"),
    index_of("ix_tokens_txn", "tenant_id", "txn"),
    key=("jti",),
)

cutoffs = tenant_table(
    "cutoffs",
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("reason", Text),
    refers((), "tenants", ()),
    index_of("ix_cutoffs_not_before", "tenant_id", "not_before"),
    key=("kind", "key"),
)

signing_keys = tenant_table(
    "signing_keys",
    Column("kid", Text, nullable=False),
    Column("alg", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("activates_at", Instant, nullable=False),
    Column("verify_until", Instant),
    refers((), "tenants", ()),
    key=("kid",),
)
