"""Every table. Each primary key, unique constraint and foreign key starts with the tenant."""

from sqlalchemy import (
    BigInteger,
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

from identity.store.schema import EMPTY_ARRAY, IDS, TEXTS, Instant, metadata
from identity.store.schema import index_of as _index_of
from identity.store.schema import refers as _refers
from identity.store.schema import tenant_table as _tenant_table

__all__ = ["IDS", "metadata"]

tenants = _tenant_table(
    "tenants",
    Column("slug", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("task_lifetime_max_s", Integer, nullable=False, server_default="300"),
    Column("created_at", Instant, nullable=False),
    # The registry of tenants is the one place whose uniqueness crosses them: a slug names one issuer.
    UniqueConstraint("slug"),
    CheckConstraint("task_lifetime_max_s between 1 and 300", name="task_lifetime"),
    key=(),
)

connections = _tenant_table(
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
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
    _refers((), "tenants", ()),
    _refers(("provisioned_by",), "connections", ("id",)),
    Index("uq_connections_issuer", "tenant_id", "issuer", unique=True,
          postgresql_where=text("kind = 'oidc' AND ended_at IS NULL")),
    key=("id",),
)  # fmt: skip

connection_tokens = _tenant_table(
    "connection_tokens",
    Column("id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    _refers(("connection_id",), "connections", ("id",)),
    UniqueConstraint("tenant_id", "hash"),
    key=("id",),
)

principals = _tenant_table(
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
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    _refers((), "tenants", ()),
    _refers(("connection_id",), "connections", ("id",)),
    CheckConstraint("kind in ('user', 'group', 'agent', 'service_account')", name="kind"),
    Index("uq_principals_name", "tenant_id", "kind", "name_key", unique=True,
          postgresql_where=text("deleted_at IS NULL AND kind <> 'group'")),
    Index("uq_principals_external_id", "tenant_id", "connection_id", "kind", "external_id", unique=True,
          postgresql_where=text("deleted_at IS NULL AND external_id IS NOT NULL")),
    Index("ix_principals_kind", "tenant_id", "kind", "id", postgresql_where=text("deleted_at IS NULL")),
    _index_of("ix_principals_external_id", "tenant_id", "external_id"),
    Index("ix_principals_display_name", "tenant_id", "kind", "display_name_key"),
    Index("ix_principals_valid_until", "tenant_id", "valid_until",
          postgresql_where=text("valid_until IS NOT NULL AND state = 'active'")),
    key=("id",),
)  # fmt: skip

# How many principals of a kind live, in slots: who writes at the same time writes different rows. Kept by triggers.
principal_counts = _tenant_table(
    "principal_counts",
    Column("kind", Text, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("living", BigInteger, nullable=False),
    key=("kind", "slot"),
)

principal_emails = _tenant_table(
    "principal_emails",
    Column("principal_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("value_key", Text, nullable=False),
    Column("type", Text),
    _refers(("principal_id",), "principals", ("id",)),
    Index("ix_principal_emails_value", "tenant_id", "value_key"),
    key=("principal_id", "position"),
)

principal_owners = _tenant_table(
    "principal_owners",
    Column("principal_id", Uuid, nullable=False),
    Column("owner_id", Uuid, nullable=False),
    Column("since", Instant, nullable=False),
    _refers(("principal_id",), "principals", ("id",)),
    _refers(("owner_id",), "principals", ("id",)),
    Index("ix_principal_owners_owner", "tenant_id", "owner_id"),
    key=("principal_id", "owner_id"),
)

group_members = _tenant_table(
    "group_members",
    Column("group_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("added_at", Instant, nullable=False),
    _refers(("group_id",), "principals", ("id",)),
    _refers(("member_id",), "principals", ("id",)),
    Index("ix_group_members_member", "tenant_id", "member_id"),
    key=("group_id", "member_id"),
)

federated_subjects = _tenant_table(
    "federated_subjects",
    Column("connection_id", Uuid, nullable=False),
    Column("subject", Text, nullable=False),
    Column("principal_id", Uuid, nullable=False),
    Column("created_at", Instant, nullable=False),
    _refers(("connection_id",), "connections", ("id",)),
    _refers(("principal_id",), "principals", ("id",)),
    Index("ix_federated_subjects_principal", "tenant_id", "principal_id"),
    key=("connection_id", "subject"),
)

resources = _tenant_table(
    "resources",
    Column("audience", Text, nullable=False),
    Column("scopes", TEXTS, nullable=False),
    Column("authorization_details_types", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("created_at", Instant, nullable=False),
    _refers((), "tenants", ()),
    key=("audience",),
)

clients = _tenant_table(
    "clients",
    Column("client_id", Text, nullable=False),
    Column("client_name", Text),
    Column("principal_id", Uuid),
    Column("audience", Text),
    Column("token_endpoint_auth_method", Text, nullable=False),
    Column("secret_hash", LargeBinary),
    Column("jwks", JSONB(none_as_null=True)),
    Column("scopes", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("grant_types", TEXTS, nullable=False, server_default=EMPTY_ARRAY),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    _refers((), "tenants", ()),
    _refers(("principal_id",), "principals", ("id",)),
    _refers(("audience",), "resources", ("audience",)),
    _index_of("ix_clients_principal", "tenant_id", "principal_id"),
    key=("client_id",),
)

used_assertions = _tenant_table(
    "used_assertions",
    Column("client_id", Text, nullable=False),
    Column("jti_hash", LargeBinary, nullable=False),
    Column("expires_at", Instant, nullable=False),
    _refers(("client_id",), "clients", ("client_id",)),
    Index("ix_used_assertions_expires_at", "tenant_id", "expires_at"),
    key=("client_id", "jti_hash"),
)

delegations = _tenant_table(
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
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("ended_at", Instant),
    Column("ended_reason", Text),
    _refers(("actor_id",), "principals", ("id",)),
    _refers(("subject_id",), "principals", ("id",)),
    _refers(("subject_group_id",), "principals", ("id",)),
    _refers(("resource",), "resources", ("audience",)),
    CheckConstraint("(subject_id IS NULL) <> (subject_group_id IS NULL)", name="one_subject"),
    Index("ix_delegations_actor", "tenant_id", "actor_id", "resource", postgresql_where=text("ended_at IS NULL")),
    Index("ix_delegations_subject", "tenant_id", "subject_id", postgresql_where=text("ended_at IS NULL")),
    Index("ix_delegations_group", "tenant_id", "subject_group_id", postgresql_where=text("ended_at IS NULL")),
    key=("id",),
)

tasks = _tenant_table(
    "tasks",
    Column("txn", Uuid, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("delegation_id", Uuid, nullable=False),
    Column("audience", Text, nullable=False),
    Column("scopes", TEXTS, nullable=False),
    Column("authorization_details", JSONB, nullable=False, server_default=text("'[]'")),
    Column("state", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant),
    _refers(("subject_id",), "principals", ("id",)),
    _refers(("actor_id",), "principals", ("id",)),
    _refers(("delegation_id",), "delegations", ("id",)),
    _index_of("ix_tasks_subject", "tenant_id", "subject_id"),
    _index_of("ix_tasks_actor", "tenant_id", "actor_id"),
    key=("txn",),
)

tokens = _tenant_table(
    "tokens",
    Column("jti", Uuid, nullable=False),
    Column("txn", Uuid),
    Column("client_id", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
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
    _refers(("client_id",), "clients", ("client_id",)),
    _refers(("subject_id",), "principals", ("id",)),
    _refers(("txn",), "tasks", ("txn",)),
    _index_of("ix_tokens_expires_at", "tenant_id", "expires_at"),
    _index_of("ix_tokens_txn", "tenant_id", "txn"),
    key=("jti",),
)

cutoffs = _tenant_table(
    "cutoffs",
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("reason", Text),
    _refers((), "tenants", ()),
    _index_of("ix_cutoffs_not_before", "tenant_id", "not_before"),
    key=("kind", "key"),
)

signing_keys = _tenant_table(
    "signing_keys",
    Column("kid", Text, nullable=False),
    Column("alg", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("activates_at", Instant, nullable=False),
    Column("verify_until", Instant),
    _refers((), "tenants", ()),
    key=("kid",),
)

events = _tenant_table(
    "events",
    Column("id", Uuid, nullable=False),
    Column("at", Instant, nullable=False),
    Column("type", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("caller_kind", Text, nullable=False),
    Column("caller_id", Text),
    Column("subject_id", Uuid),
    Column("actor_ids", IDS, nullable=False, server_default=EMPTY_ARRAY),
    Column("txn", Uuid),
    Column("reason", Text),
    Column("request_id", Text),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    Index("ix_events_txn", "tenant_id", "txn", "id", postgresql_where=text("txn IS NOT NULL")),
    Index("ix_events_subject", "tenant_id", "subject_id", "id"),
    Index("ix_events_type", "tenant_id", "type", "id"),
    key=("id",),
)

outbox = _tenant_table(
    "outbox",
    Column("id", Uuid, nullable=False),
    Column("principal_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("available_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", Instant),
    Column("done_at", Instant),
    Column("dead_at", Instant),
    Column("last_error", Text),
    _refers(("principal_id",), "principals", ("id",)),
    Index("ix_outbox_due", "available_at", postgresql_where=text("done_at IS NULL AND dead_at IS NULL")),
    key=("id",),
)

idempotency_keys = _tenant_table(
    "idempotency_keys",
    Column("caller", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("sealed_answer", LargeBinary),
    Column("created_at", Instant, nullable=False),
    key=("caller", "key_hash"),
)

provisioning_requests = _tenant_table(
    "provisioning_requests",
    Column("id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("at", Instant, nullable=False),
    Column("request_id", Text),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("resource_type", Text),
    Column("principal_id", Uuid),
    Column("name", Text),
    Column("name_key", Text),
    Column("body", JSONB(none_as_null=True)),
    Column("changes", JSONB, nullable=False, server_default=text("'[]'")),
    Column("outcome", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("scim_type", Text),
    Column("reason", Text),
    Column("detail", Text),
    Column("duration_ms", Integer, nullable=False),
    _refers(("connection_id",), "connections", ("id",)),
    Index("ix_provisioning_requests_connection", "tenant_id", "connection_id", "id"),
    Index("ix_provisioning_requests_at", "tenant_id", "at"),
    key=("id",),
)
