"""Tables of events, of work that is due, and of answers that are kept."""

from sqlalchemy import Column, Index, Integer, LargeBinary, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from identity.store.tables.schema import EMPTY_ARRAY, IDS, Instant, index_of, refers, tenant_table

events = tenant_table(
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

outbox = tenant_table(
    "outbox",
    Column("id", Uuid, nullable=False),
    Column("principal_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False, server_default=text("now()")),
    Column("available_at", Instant, nullable=False, server_default=text("now()")),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", Instant),
    Column("done_at", Instant),
    Column("dead_at", Instant),
    Column("last_error", Text),
    refers(("principal_id",), "principals", ("id",)),
    Index(
        "ix_outbox_open",
        "tenant_id",
        "priority",
        "available_at",
        postgresql_where=text("done_at IS NULL AND dead_at IS NULL"),
    ),
    key=("id",),
)

idempotency_keys = tenant_table(
    "idempotency_keys",
    Column("caller", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("sealed_answer", LargeBinary),
    Column("created_at", Instant, nullable=False),
    key=("caller", "key_hash"),
)

provisioning_requests = tenant_table(
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
    refers(("connection_id",), "connections", ("id",)),
    Index("ix_provisioning_requests_connection", "tenant_id", "connection_id", "id"),
    Index("ix_provisioning_requests_at", "tenant_id", "at"),
    key=("id",),
)

provisioning_events = tenant_table(
    "provisioning_events",
    Column("id", Uuid, nullable=False),
    Column("at", Instant, nullable=False),
    Column("connection_id", Uuid),
    Column("txn", Text, nullable=False),
    Column("sub_id", JSONB, nullable=False),
    Column("payloads", JSONB, nullable=False),
    refers(("connection_id",), "connections", ("id",)),
    Index("ix_provisioning_events_at", "tenant_id", "at"),
    key=("id",),
)

async_requests = tenant_table(
    "async_requests",
    Column("id", Uuid, nullable=False),
    Column("connection_id", Uuid, nullable=False),
    Column("client_id", Text),
    Column("request_id", Text, nullable=False),
    Column("sealed_body", LargeBinary),
    Column("created_at", Instant, nullable=False),
    Column("done_at", Instant),
    refers(("connection_id",), "connections", ("id",)),
    refers(("client_id",), "clients", ("client_id",)),
    Index("ix_async_requests_pending", "tenant_id", "connection_id", postgresql_where=text("done_at IS NULL")),
    index_of("ix_async_requests_done_at", "tenant_id", "done_at"),
    key=("id",),
)

async_reports = tenant_table(
    "async_reports",
    Column("async_request_id", Uuid, nullable=False),
    Column("place", Integer, nullable=False),
    Column("report", JSONB, nullable=False),
    Column("event_id", Uuid, nullable=False),
    refers(("async_request_id",), "async_requests", ("id",)),
    key=("async_request_id", "place"),
)
