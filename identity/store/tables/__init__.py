"""Every table. Each primary key, unique constraint and foreign key starts with the tenant."""

from identity.store.schema import IDS, metadata
from identity.store.tables.authority import (
    clients,
    cutoffs,
    delegations,
    resources,
    signing_keys,
    task_counts,
    tasks,
    tokens,
    used_assertions,
)
from identity.store.tables.definitions import principal_keys, resource_types, schemas
from identity.store.tables.directory import (
    connection_tokens,
    connections,
    federated_subjects,
    group_members,
    principal_counts,
    principal_emails,
    principal_owners,
    principals,
    tenants,
)
from identity.store.tables.trail import (
    async_reports,
    async_requests,
    events,
    idempotency_keys,
    outbox,
    provisioning_events,
    provisioning_requests,
)

__all__ = [
    "IDS",
    "async_reports",
    "async_requests",
    "clients",
    "connection_tokens",
    "connections",
    "cutoffs",
    "delegations",
    "events",
    "federated_subjects",
    "group_members",
    "idempotency_keys",
    "metadata",
    "outbox",
    "principal_counts",
    "principal_emails",
    "principal_keys",
    "principal_owners",
    "principals",
    "provisioning_events",
    "provisioning_requests",
    "resource_types",
    "resources",
    "schemas",
    "signing_keys",
    "task_counts",
    "tasks",
    "tenants",
    "tokens",
    "used_assertions",
]
