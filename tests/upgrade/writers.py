"""Writers that lock what requests lock, in the order in which requests do, with columns that every schema has."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg

from identity.store.session import LOCK_TIMEOUT_MS, STATEMENT_TIMEOUT_MS
from tests.upgrade.planting import AGENT, AUDIENCE, DELEGATION, GROUP, OTHER, PRINCIPAL, TENANTS, USER, id_of

ALLOWED = frozenset({"55P03", "40P01", "57014"})
"""SQLSTATE of what a caller sees as 503 with Retry-After: lock not available, deadlock, statement cancelled."""

PAUSE_S = 0.01
EVENT = """INSERT INTO events (tenant_id, id, at, type, outcome, caller_kind, subject_id)
           VALUES (%(tenant)s, %(event)s, now(), %(type)s, 'done', 'connection', %(id)s)"""
NOTICE = """INSERT INTO outbox (tenant_id, id, principal_id, kind, created_at, available_at)
            VALUES (%(tenant)s, %(event)s, %(id)s, 'reconcile', now(), now())"""
ACCESS = f"""SELECT c.id FROM connection_tokens t JOIN connections c ON c.id = t.connection_id
              WHERE t.tenant_id = %(tenant)s AND t.id = {id_of(OTHER, 2)} AND c.tenant_id = %(tenant)s"""
TENANT = "SELECT slug FROM tenants WHERE tenant_id = %(tenant)s"
LOCK = "SELECT state FROM principals WHERE tenant_id = %(tenant)s AND id = %(id)s FOR NO KEY UPDATE"

REQUESTS: Mapping[str, tuple[str, ...]] = {
    "create": (
        TENANT,
        ACCESS,
        f"""INSERT INTO principals ({PRINCIPAL}) VALUES (%(tenant)s, %(id)s, 'user', {id_of(OTHER, 1)}, 'active',
            %(id)s::text, %(id)s::text, '{{}}', 0, now(), now())""",
        f"""INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
            VALUES (%(tenant)s, {id_of(GROUP, 1)}, %(id)s, now())""",
        EVENT,
        NOTICE,
    ),
    "leave": (
        ACCESS,
        LOCK,
        """UPDATE principals SET state = 'deprovisioned', epoch = epoch + 1, version = version + 1
            WHERE tenant_id = %(tenant)s AND id = %(id)s""",
        "UPDATE clients SET revoked_at = now() WHERE tenant_id = %(tenant)s AND principal_id = %(id)s",
        """INSERT INTO cutoffs (tenant_id, kind, key, not_before) VALUES (%(tenant)s, 'principal', %(id)s::text, now())
           ON CONFLICT (tenant_id, kind, key) DO UPDATE SET not_before = excluded.not_before""",
        EVENT,
        NOTICE,
    ),
    "delete": (
        ACCESS,
        LOCK,
        "UPDATE principals SET deleted_at = now() WHERE tenant_id = %(tenant)s AND id = %(id)s",
        "DELETE FROM group_members WHERE tenant_id = %(tenant)s AND member_id = %(id)s",
        EVENT,
    ),
    "exchange": (
        "SELECT client_id FROM clients WHERE tenant_id = %(tenant)s AND client_id = 'client-20'",
        TENANT,
        """INSERT INTO used_assertions (tenant_id, client_id, jti_hash, expires_at)
           VALUES (%(tenant)s, 'client-20', sha256(convert_to(%(event)s::text, 'UTF8')), now())""",
        f"""INSERT INTO tasks (tenant_id, txn, subject_id, actor_id, delegation_id, audience, scopes, state, created_at,
                               expires_at)
            VALUES (%(tenant)s, %(event)s, {id_of(USER, 20)}, {id_of(AGENT, 20)}, {id_of(DELEGATION, 20)}, '{AUDIENCE}',
                    '{{read}}', 'open', now(), now())""",
        f"""INSERT INTO tokens (tenant_id, jti, txn, client_id, subject_id, party_ids, epoch_sum, audience, scopes,
                                issued_at, expires_at)
            VALUES (%(tenant)s, %(event)s, %(event)s, 'client-20', {id_of(USER, 20)}, ARRAY[{id_of(USER, 20)}], 0,
                    '{AUDIENCE}', '{{read}}', now(), now())""",
        EVENT,
    ),
    "touch": (  # what a member that is added does to a group, and an administrator to a connection and its clients
        LOCK.replace("%(id)s", id_of(GROUP, 1)),
        f"UPDATE principals SET version = version + 1 WHERE tenant_id = %(tenant)s AND id = {id_of(GROUP, 1)}",
        f"UPDATE connections SET version = version + 1 WHERE tenant_id = %(tenant)s AND id = {id_of(OTHER, 1)}",
        "UPDATE clients SET version = version + 1 WHERE tenant_id = %(tenant)s AND client_id = 'client-21'",
        "UPDATE tenants SET display_name = slug WHERE tenant_id = %(tenant)s",
    ),
}
ORDER = ("create", "exchange", "create", "leave", "exchange", "delete", "touch")


@dataclass(slots=True)
class Written:
    """What writers did: seconds of each transaction, and what stood in the way of those that failed."""

    seconds: list[float] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def wait_for(self, more: int, deadline_s: float = 20) -> None:
        """Wait until so many more were written."""
        wanted, deadline = len(self.seconds) + more, time.monotonic() + deadline_s
        while len(self.seconds) < wanted:
            assert time.monotonic() < deadline, "the writers stand still"
            time.sleep(0.01)


@contextmanager
def writing(application_url: str, *, threads: int = 3) -> Iterator[Written]:
    """Write as the application does until the block ends."""
    written, stopped = Written(), threading.Event()
    crowd = [threading.Thread(target=_write, args=(application_url, written, stopped, seed)) for seed in range(threads)]
    for thread in crowd:
        thread.start()
    try:
        yield written
    finally:
        stopped.set()
        for thread in crowd:
            thread.join()


def _write(application_url: str, written: Written, stopped: threading.Event, seed: int) -> None:
    random, created = Random(seed), list[tuple[UUID, UUID]]()
    options = f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS} -c role=identity_app"
    url = application_url.replace("+psycopg", "", 1)
    with psycopg.connect(url, options=options, autocommit=True, prepare_threshold=2) as connection:
        for turn in count():
            if stopped.wait(PAUSE_S):
                return
            kind, (tenant, id_) = ORDER[turn % len(ORDER)], (random.choice(TENANTS), uuid4())
            if kind in {"leave", "delete"}:
                if not created:
                    continue
                tenant, id_ = created.pop(0) if kind == "delete" else created[0]
            begun = time.monotonic()
            try:
                _run(connection, kind, {"tenant": tenant, "id": id_, "event": uuid4(), "type": f"user.{kind}"})
            except psycopg.Error as error:
                (written.given_up if error.sqlstate in ALLOWED else written.faults).append(f"{kind}: {error}")
                continue
            finally:
                written.seconds.append(time.monotonic() - begun)
            if kind == "create":
                created.append((tenant, id_))


def _run(connection: psycopg.Connection, kind: str, values: dict[str, Any]) -> None:
    with connection.transaction():
        connection.execute(f"SET LOCAL app.tenant = '{values['tenant']}'".encode())
        for statement in REQUESTS[kind]:
            connection.execute(statement.encode(), values)
