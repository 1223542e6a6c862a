"""A source that pushes principals, as the verbs meet it; the workers, run by hand; and what a tenant's rows are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Engine

from identity.actions.connections import create_scim_connection
from identity.actions.provisioning import amend_principal, create_principal, delete_principal, get_principal
from identity.actions.reconciliation import BEGINNING, reconcile_principal
from identity.model.access import Caller, CallerKind
from identity.model.connection import Dialect
from identity.model.event import RecordedEvent
from identity.model.ids import TenantId
from identity.model.lifecycle import State
from identity.model.membership import MemberChange
from identity.model.principal import Amended, Amendment, Email, Kind, Principal, Profile, Resource
from identity.store.principals import principal_get
from identity.store.tables import metadata
from identity.store.transaction import transaction
from tests.fixtures import ADMINISTRATOR, Tenant
from tests.workers.rows import Reconcile, run_rows
from workers.tasks import OutboxWorker

NOBODY: frozenset[UUID] = frozenset()


def profile(
    name: str,
    *,
    active: bool = True,
    external_id: str | None = None,
    emails: tuple[str, ...] = (),
    owners: frozenset[UUID] = NOBODY,
    **document: Any,
) -> Profile:
    """What a source says; the document says the same as the fields beside it."""
    said = {"userName": name, "active": active, "externalId": external_id} | document
    said |= {"emails": [{"value": value} for value in emails]}
    return Profile(
        document={key: value for key, value in said.items() if value not in (None, [])},
        name=name,
        external_id=external_id,
        display_name=document.get("displayName"),
        active=active,
        emails=tuple(Email(value) for value in emails),
        owners=owners,
    )


def said_of(current: Resource) -> dict[str, Any]:
    """What ``profile`` was told to make the present one."""
    document = dict(current.principal.document)
    return {
        "name": document.pop("userName", current.principal.name),
        "active": document.pop("active", True),
        "external_id": document.pop("externalId", None),
        "emails": tuple(email["value"] for email in document.pop("emails", ())),
        "owners": frozenset(owner.id for owner in current.owners),
        **document,
    }


@dataclass(frozen=True, slots=True)
class Source:
    """One scim connection of a tenant. Every call is a transaction of its own."""

    tenant: Tenant
    caller: Caller

    def create(self, kind: Kind, name: str, *, members: frozenset[UUID] = NOBODY, **said: Any) -> UUID:
        with self.tenant.tx() as tx:
            made = create_principal(
                tx, kind, profile(name, **said), members=members, caller=self.caller, now=self.tenant.now
            )
        return made.principal.id

    def user(self, name: str, **said: Any) -> UUID:
        return self.create(Kind.USER, name, **said)

    def group(self, name: str, *members: UUID, **said: Any) -> UUID:
        return self.create(Kind.GROUP, name, members=frozenset(members), **said)

    def agent(self, name: str, *owners: UUID, **said: Any) -> UUID:
        return self.create(Kind.AGENT, name, owners=frozenset(owners), **said)

    def amend(
        self,
        kind: Kind,
        principal_id: UUID,
        *,
        members: MemberChange | None = None,
        expected_version: int | None = None,
        **said: Any,
    ) -> Amended:
        """Say something new of a principal; what is not named stays as it is."""

        def change(current: Resource) -> Amendment:
            return Amendment(profile(**(said_of(current) | said)), members)

        with self.tenant.tx() as tx:
            return amend_principal(
                tx,
                kind,
                principal_id,
                change,
                expected_version=expected_version,
                caller=self.caller,
                now=self.tenant.now,
            )

    def join(self, group_id: UUID, *member_ids: UUID) -> Amended:
        return self.amend(Kind.GROUP, group_id, members=MemberChange(add=frozenset(member_ids)))

    def leave(self, group_id: UUID, *member_ids: UUID) -> Amended:
        return self.amend(Kind.GROUP, group_id, members=MemberChange(remove=frozenset(member_ids)))

    def set_members(self, group_id: UUID, *member_ids: UUID) -> Amended:
        return self.amend(Kind.GROUP, group_id, members=MemberChange(replace=True, add=frozenset(member_ids)))

    def delete(self, kind: Kind, principal_id: UUID, *, expected_version: int | None = None) -> None:
        with self.tenant.tx() as tx:
            delete_principal(
                tx, kind, principal_id, expected_version=expected_version, caller=self.caller, now=self.tenant.now
            )

    def read(self, kind: Kind, principal_id: UUID) -> Resource:
        with self.tenant.tx() as tx:
            return get_principal(tx, kind, principal_id, caller=self.caller)

    def members(self, group_id: UUID) -> set[UUID]:
        return {member.id for member in self.read(Kind.GROUP, group_id).members}


def connect(tenant: Tenant, name: str = "source") -> Source:
    """Let a source push into a tenant."""
    with tenant.tx() as tx:
        connection = create_scim_connection(
            tx, name=name, dialect=Dialect.RFC, token=f"token-{uuid4()}", caller=ADMINISTRATOR, now=tenant.now
        )
    caller = Caller(CallerKind.CONNECTION, str(connection.id), "request-of-source", connection_id=connection.id)
    return Source(tenant, caller)


def administrator(tenant: Tenant) -> Source:
    """The same verbs for an administrator."""
    return Source(tenant, ADMINISTRATOR)


def principal(tenant: Tenant, principal_id: UUID) -> Principal | None:
    with tenant.tx() as tx:
        return principal_get(tx, principal_id)


def state(tenant: Tenant, principal_id: UUID) -> State:
    """What holds for a principal, a deleted one too."""
    [(found,)] = rows(tenant, "SELECT state FROM principals WHERE id = :id", id=principal_id)
    return State(found)


@contextmanager
def onlooker(tenant: Tenant) -> Iterator[psycopg.Connection]:
    """A connection behind the tenant's wall, without the store: what looks must not be what is looked at."""
    url = tenant.runtime.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET ROLE identity_app; SET app.tenant = '{tenant.seeded.id}'")
        yield connection


OPEN: dict[tuple[Engine, TenantId], psycopg.Connection] = {}
"""A connection to each tenant of the test that runs; threads may share it."""


def rows(tenant: Tenant, query: str, **parameters: Any) -> list[Any]:
    """What a query finds behind the tenant's wall. Parameters are named ``:so``."""
    return execute(OPEN[tenant.runtime.engine, tenant.seeded.id], query, **parameters)


def execute(connection: psycopg.Connection, query: str, **parameters: Any) -> list[Any]:
    """Run a statement; return what it finds."""
    named = re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", query) if parameters else query
    cursor = connection.execute(named.encode(), parameters or None)
    return cursor.fetchall() if cursor.description else []


def count(tenant: Tenant, table_and_condition: str, **parameters: Any) -> int:
    return int(rows(tenant, f"SELECT count(*) FROM {table_and_condition}", **parameters)[0][0])


def told(tenant: Tenant, principal_id: UUID, *, since: int = 0) -> list[str]:
    """The types of the events about a principal, in order."""
    return [recorded.event.type for recorded in tenant.events(principal_id=principal_id)][since:]


def last_told(tenant: Tenant, principal_id: UUID) -> RecordedEvent:
    return tenant.events(principal_id=principal_id)[-1]


def digest(tenant: Tenant) -> dict[str, str]:
    """A digest of every row that a tenant has, by table."""
    parts = " UNION ALL ".join(
        f"SELECT '{name}', md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM {name} t"
        f" WHERE tenant_id = current_setting('app.tenant')::uuid"
        for name in metadata.tables
    )
    return {row[0]: row[1] for row in rows(tenant, parts)}


def due(tenant: Tenant) -> list[UUID]:
    """The news of a tenant that no worker has settled yet, oldest first."""
    waiting = "SELECT id FROM outbox WHERE done_at IS NULL AND dead_at IS NULL ORDER BY id"
    return [id_ for (id_,) in rows(tenant, waiting)]


def forget_news(tenant: Tenant) -> None:
    """Let all news be done, as if nothing had followed from it."""
    rows(tenant, "UPDATE outbox SET done_at = created_at WHERE done_at IS NULL")


def work(tenant: Tenant, reconcile: Reconcile | None = None) -> int:
    """Do what the workers would, in batches, until nothing is left; return how many rows of the outbox it took."""
    number = 0
    while waiting := due(tenant):
        _run(tenant, waiting, reconcile=reconcile, worker=OutboxWorker)
        number += len(waiting)
        assert count(tenant, "outbox WHERE last_error IS NOT NULL") == 0
    return number


def settle_row(tenant: Tenant, outbox_id: UUID, reconcile: Reconcile | None = None) -> None:
    _run(tenant, [outbox_id], reconcile=reconcile)


def _run(tenant: Tenant, outbox_ids: list[UUID], **how: Any) -> None:
    open_transaction = partial(transaction, tenant.runtime.engine)
    run_rows(open_transaction, tenant.seeded.id, outbox_ids, clock=tenant.runtime.clock, **how)


def reconcile_whole(tenant: Tenant, principal_id: UUID, caller: Caller) -> None:
    """Reconcile one principal to the end, each step in a transaction of its own, as a worker does."""
    position = BEGINNING
    while position is not None:
        with tenant.tx() as tx:
            position = reconcile_principal(tx, principal_id, position=position, caller=caller, now=tenant.now)
