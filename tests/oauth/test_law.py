"""What a decision costs does not depend on what others wrote: a small tenant beside a large one.

Each verb runs in a tenant whose person is in very many groups and has very many tasks, and beside one like it; with
statistics that are stale, and with none at all. No statement reads more than a few rows beyond what is answered.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine, event

from dev.postgres import SUPERUSER
from identity.actions.provisioning import amend_principal
from identity.actions.reconciliation import BEGINNING, Position, reconcile_principal
from identity.model.lifecycle import Transition
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Kind, Profile
from identity.store.lifecycle import BATCH, DELEGATIONS_COUNTED_MAX
from identity.store.ownership import GROUPS_BATCH
from tests.conftest import Server
from tests.fixtures import ADMINISTRATOR, ERP, Tenant, TwoTenants, claims_in, employ
from tests.oauth.tasking import ask, open_task
from tests.oauth.test_cut_is_the_last_word import delegation_narrowed, resource_deleted, resource_narrowed

READ_MAX = 50
ROWS_OF_A_STEP = 8 * BATCH
"""Of one batch of a worker: each row in an index and in its table, with what is looked up for it."""

ROWS = int(os.environ.get("IDENTITY_PROVE_ROWS", "4000"))
TASKS, MEMBERSHIPS, MEMBERS, AGENTS, DELEGATIONS = ROWS, ROWS, ROWS // 2, 100, ROWS // 2
READ = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""
ID = "CAST('{prefix}-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)"
GROUPS, PEOPLE, BOTS = (ID.format(prefix=prefix) for prefix in ("0191aaaa", "0191bbbb", "0191cccc"))
A_BOT = BOTS.replace("(n)", f"(1 + n % {AGENTS})")
PLANT = f"""
SET session_replication_role = replica;
INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at)
SELECT :tenant, {GROUPS}, 'group', 'active', 'g' || n, 'g' || n, '{{}}', now(), now()
  FROM generate_series(1, {MEMBERSHIPS}) n;
INSERT INTO group_members (tenant_id, group_id, member_id, source_id, added_at)
SELECT :tenant, {GROUPS}, :sam, :other, now() FROM generate_series(1, {MEMBERSHIPS}) n;
INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at)
SELECT :tenant, {PEOPLE}, 'user', 'active', 'p' || n, 'p' || n, '{{}}', now(), now()
  FROM generate_series(1, {MEMBERS}) n;
INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
SELECT :tenant, :finance, {PEOPLE}, now() FROM generate_series(1, {MEMBERS}) n;
INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at, was_owned)
SELECT :tenant, {BOTS}, 'agent', 'active', 'b' || n, 'b' || n, '{{}}', now(), now(), true
  FROM generate_series(1, {AGENTS}) n;
INSERT INTO principal_owners (tenant_id, principal_id, owner_id, since)
SELECT :tenant, {BOTS}, :finance, now() FROM generate_series(1, {AGENTS}) n;
INSERT INTO tasks SELECT (jsonb_populate_record(t, jsonb_build_object('txn', gen_random_uuid()))).*
  FROM tasks t, generate_series(1, {TASKS}) WHERE t.ctid = (SELECT ctid FROM tasks WHERE tenant_id = :tenant LIMIT 1)
"""
PLANT_DELEGATIONS = f""";
INSERT INTO delegations (tenant_id, id, actor_id, subject_id, subject_group_id, resource, max_lifetime_s, max_depth,
                         created_at)
SELECT :tenant, gen_random_uuid(), d.*, '{ERP}', 60, 1, now()
  FROM generate_series(1, {DELEGATIONS}) n CROSS JOIN LATERAL (VALUES
       (:agent, {PEOPLE}, CAST(NULL AS uuid)), ({A_BOT}, :sam, NULL), ({A_BOT}, NULL, :finance)) d;
"""


def amend(tenant: Tenant, kind: Kind, id_: Any, **changed: Any) -> None:
    members = changed.pop("members", None)
    with tenant.tx() as tx:
        amend_principal(
            tx, kind, id_,
            lambda found: Amendment(
                Profile(document=found.principal.document | changed, name=found.principal.name,
                        external_id=found.principal.external_id, active=changed.get("active", True),
                        owners=frozenset(owner.id for owner in found.owners)),
                members),
            expected_version=None, caller=ADMINISTRATOR, now=tenant.now,
        )  # fmt: skip


def suspend_and_reactivate(tenant: Tenant, id_: UUID) -> None:
    """Once with what the suspension kept, and once after a second suspension ended that."""
    for verb in (
        Transition.SUSPEND,
        Transition.REACTIVATE,
        Transition.SUSPEND,
        Transition.SUSPEND_AND_REVOKE,
        Transition.REACTIVATE,
    ):
        tenant.befall(id_, verb)


VERBS: dict[str, Callable[[Tenant, str], object]] = {
    "suspend the person": lambda acme, _: acme.befall(acme.seeded.sam, Transition.SUSPEND),
    "delete the person": lambda acme, _: acme.befall(acme.seeded.sam, Transition.DELETE),
    "suspend the agent": lambda acme, _: acme.befall(acme.agent().id, Transition.SUSPEND),
    "suspend the agent, and revoke": lambda acme, _: acme.befall(acme.agent().id, Transition.SUSPEND_AND_REVOKE),
    "deprovision the agent": lambda acme, _: acme.befall(acme.agent().id, Transition.DEPROVISION),
    "suspend the group, and revoke": lambda acme, _: acme.befall(acme.seeded.finance, Transition.SUSPEND_AND_REVOKE),
    "delete the group": lambda acme, _: acme.befall(acme.seeded.finance, Transition.DELETE),
    "suspend and reactivate the agent": lambda acme, _: suspend_and_reactivate(acme, acme.agent().id),
    "suspend and reactivate the person": lambda acme, _: suspend_and_reactivate(acme, acme.seeded.sam),
    "suspend and reactivate the group": lambda acme, _: suspend_and_reactivate(acme, acme.seeded.finance),
    "active=false": lambda acme, _: amend(acme, Kind.USER, acme.seeded.sam, active=False),
    "an attribute": lambda acme, _: amend(acme, Kind.USER, acme.seeded.sam, nickName="Sam"),
    "remove a member": lambda acme, _: amend(
        acme, Kind.GROUP, acme.seeded.finance, members=MemberChange(remove=frozenset({acme.seeded.sam}))),
    "exchange": lambda acme, _: acme.task_token(),
    "hand on": lambda acme, token: acme.task_token("ocr-bot", token),
    "open a task": lambda acme, _: open_task(acme),
    "open a task at large": lambda acme, _: open_task(acme, authority=...),
    "an agent's tasks": lambda acme, _: ask(acme, "GET", params={"limit": 5}),
    "cancel a task": lambda acme, token: ask(acme, "POST", f"/{claims_in(token)['txn']}/cancel"),
    "cancel a branch": lambda acme, token: ask(
        acme, "POST", f"/{claims_in(acme.task_token('ocr-bot', token))['txn']}/cancel", agent="ocr-bot"),
    "introspection": lambda acme, token: acme.introspect(token),
    "narrow the delegation": delegation_narrowed,
    "narrow the resource server": resource_narrowed,
    "delete the resource server": resource_deleted,
    "a token for itself": lambda acme, _: acme.own_token("ocr-bot", resource=ERP),
}  # fmt: skip
ANSWERED = dict.fromkeys(("active=false", "an attribute"), 4 * 1_000) | {
    f"suspend and reactivate the {party}": 10 * DELEGATIONS_COUNTED_MAX for party in ("agent", "person", "group")
}
"""Of the first thousand groups of the person, which are answered: index entry and row of each membership and group. Of
the first thousand delegations, of which is answered how many live again: state and end counter of both parties, and
that of the resource server.
"""


@contextmanager
def read_by_each(engine: Engine) -> Iterator[list[tuple[str, int]]]:
    """Yield a list that gets each statement, and how many rows and index entries it read."""
    seen: list[tuple[str, int]] = []
    last = [0]

    def count(cursor: Any) -> int:
        other = cursor.connection.cursor()
        other.execute(READ)
        return int(other.fetchone()[0])

    def before(_conn: Any, cursor: Any, *_: Any) -> None:
        last[0] = count(cursor)

    def after(_conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.endswith(("COMMIT", "ROLLBACK")):
            seen.append((statement, 0 if statement.startswith("BEGIN") else count(cursor) - last[0]))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)


def plant(server: Server, tenant: Tenant, *, statistics: str, more: str = "") -> None:
    superuser = psycopg.connect(
        host=server.socket_folder, user=SUPERUSER, dbname=tenant.runtime.engine.url.database, autocommit=True
    )
    values = {
        "tenant": tenant.seeded.id, "sam": tenant.seeded.sam, "finance": tenant.seeded.finance,
        "other": "01910000-0000-7000-8000-000000000000", "agent": tenant.agent().id,
    }  # fmt: skip
    with superuser as connection:
        if statistics == "stale":
            connection.execute("ANALYZE")
        seeded = PLANT + more
        for name, value in values.items():
            seeded = seeded.replace(f":{name}", f"'{value}'::uuid")
        connection.execute(seeded.encode())


@pytest.mark.promise(1)
@pytest.mark.promise(10)
@pytest.mark.timeout(60 + ROWS // 500)
@pytest.mark.parametrize("statistics", ["stale", "none"])
@pytest.mark.parametrize("verb", VERBS)
def test_what_others_wrote_changes_neither_the_statements_nor_what_they_read(
    server: Server, two_tenants: TwoTenants, verb: str, statistics: str
) -> None:
    token = two_tenants.acme.task_token()
    two_tenants.rival.task_token()
    plant(server, two_tenants.rival, statistics=statistics, more=PLANT_DELEGATIONS)
    plant(server, two_tenants.acme, statistics="none", more=PLANT_DELEGATIONS)
    two_tenants.runtime.engine.dispose()
    with read_by_each(two_tenants.runtime.engine) as large:
        VERBS[verb](two_tenants.acme, token)
    allowed = READ_MAX + ANSWERED.get(verb, 0)
    assert [(read, statement) for statement, read in large if read > allowed] == []


@pytest.mark.promise(2)
@pytest.mark.timeout(60 + ROWS // 500)
def test_a_cascade_looks_at_the_leavers_own_agents_first_and_at_a_large_group_only_until_it_answers(
    server: Server, two_tenants: TwoTenants
) -> None:
    acme = two_tenants.acme
    with acme.tx() as tx:
        only_his = employ(tx, "only-his-bot", acme.seeded.sam)
    acme.task_token()
    plant(server, acme, statistics="none")
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    position: Position | None = BEGINNING
    steps = 0
    while position is not None:
        with read_by_each(two_tenants.runtime.engine) as seen, acme.tx() as tx:
            position = reconcile_principal(tx, acme.seeded.sam, position=position, caller=ADMINISTRATOR, now=acme.now)
        steps += 1
        assert max(read for _, read in seen) <= ROWS_OF_A_STEP
    state = "SELECT state FROM principals WHERE tenant_id = :tenant AND id = :id"
    assert acme.sql(state, id=only_his.id) == [("suspended",)]
    assert steps <= 10 + TASKS // BATCH + MEMBERSHIPS // GROUPS_BATCH
    with read_by_each(two_tenants.runtime.engine) as seen, acme.tx() as tx:
        following = reconcile_principal(tx, acme.seeded.finance, caller=ADMINISTRATOR, now=acme.now)
    assert (following, max(read for _, read in seen) <= READ_MAX) == (None, True), "its first active user answers"
