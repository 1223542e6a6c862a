"""The audit trail: every verb is in it, in its own transaction; nobody rewrites it; everybody reads it to the end."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import ProgrammingError

from identity.actions.clients import NewClient, register_client, revoke_client, rotate_client_secret
from identity.actions.connections import end_connection, rotate_connection_token
from identity.actions.delegations import change_delegation, end_delegation
from identity.actions.events import list_events, record_refusal
from identity.actions.resource_pairs import register_resource_pair
from identity.actions.resources import change_resource, delete_resource
from identity.actions.signing_keys import rotate_keys
from identity.actions.tasks import cancel_task
from identity.model.client import AuthMethod
from identity.model.errors import NotAllowed
from identity.model.event import RecordedEvent
from identity.model.lifecycle import Transition
from identity.model.principal import Kind
from identity.store import Tx
from tests.actions.sources import Source, count, digest, rows
from tests.fixtures import ADMINISTRATOR, CRM, ERP, SCOPES, Tenant, let_act, provision, resource_server
from tests.oauth.conftest import SEAL

CANARY = "canary-of-a-secret"


def _register(tx: Tx, tenant: Tenant) -> object:
    asked = NewClient(None, tenant.agent().id, None, AuthMethod.CLIENT_SECRET_BASIC, None, (), None)
    return register_client(tx, asked, new_secret=CANARY, caller=ADMINISTRATOR, now=tenant.now)


def _task(tenant: Tenant) -> UUID:
    found = rows(tenant, "SELECT txn FROM tasks WHERE state = 'open'")[0][0]
    assert isinstance(found, UUID)
    return found


def _erp(tenant: Tenant) -> UUID:
    found = rows(tenant, f"SELECT id FROM resources WHERE audience = '{ERP}'")[0][0]
    assert isinstance(found, UUID)
    return found


VERBS: dict[str, Callable[[Tx, Tenant], object]] = {
    "user.created": lambda tx, t: provision(tx, Kind.USER, "new"),
    "group.created": lambda tx, t: provision(tx, Kind.GROUP, "new", members=frozenset({t.seeded.sam})),
    "agent.created": lambda tx, t: provision(tx, Kind.AGENT, "new", owners=frozenset({t.seeded.sam})),
    "client.registered": _register,
    "client.secret_rotated": lambda tx, t: rotate_client_secret(
        tx, t.agent("ocr-bot").client_id, new_secret=CANARY, caller=ADMINISTRATOR, now=t.now
    ),
    "client.revoked": lambda tx, t: revoke_client(tx, t.agent().client_id, caller=ADMINISTRATOR, now=t.now),
    "delegation.granted": lambda tx, t: let_act(tx, t.agent().id, None, subject_id=t.seeded.sam),
    "delegation.ended": lambda tx, t: end_delegation(
        tx, t.seeded.delegations["ocr-bot"], caller=ADMINISTRATOR, now=t.now
    ),
    "delegation.changed": lambda tx, t: change_delegation(
        tx,
        t.seeded.delegations["ocr-bot"],
        {"max_depth": 1},
        expected_version=None,
        caller=ADMINISTRATOR,
        now=t.now,
    ),
    "task.cancelled": lambda tx, t: cancel_task(tx, _task(t), reason="test", caller=ADMINISTRATOR, now=t.now),
    "resource.registered": lambda tx, t: resource_server(tx, "https://new.example"),
    "resource.changed": lambda tx, t: change_resource(
        tx, _erp(t), {"scopes": SCOPES[:1]}, expected_version=None, caller=ADMINISTRATOR, now=t.now
    ),
    "resource.deleted": lambda tx, t: delete_resource(tx, _erp(t), caller=ADMINISTRATOR, now=t.now),
    "resource_pair.registered": lambda tx, t: register_resource_pair(
        tx,
        source=ERP,
        target=CRM,
        scopes={SCOPES[0]: SCOPES},
        authorization_details_types={},
        caller=ADMINISTRATOR,
        now=t.now,
    ),
    "key.created": lambda tx, t: rotate_keys(tx, encryption=SEAL, caller=ADMINISTRATOR, now=t.now),
}


@pytest.mark.promise(6)
@pytest.mark.parametrize("type_", VERBS)
def test_every_verb_writes_its_event_in_its_transaction(acme: Tenant, type_: str) -> None:
    acme.task_token()
    before, seen = digest(acme), len(acme.events())
    with pytest.raises(ZeroDivisionError), acme.tx() as tx:
        VERBS[type_](tx, acme)
        raise ZeroDivisionError
    assert digest(acme) == before
    with acme.tx() as tx:
        VERBS[type_](tx, acme)
    new = acme.events()[seen:]
    assert type_ in [each.event.type for each in new]
    assert {each.request_id for each in new} == {ADMINISTRATOR.request_id}
    assert rows(acme, "SELECT count(DISTINCT xmin::text) FROM events WHERE id = ANY (:ids)", ids=[e.id for e in new])[
        0
    ] == (1,)


def test_what_a_source_did_is_told_with_its_connection(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    [event] = acme.events(principal_id=user)
    assert (event.caller_kind, event.caller_id, event.request_id) == (
        "connection",
        str(source.caller.connection_id),
        "request-of-source",
    )


@pytest.mark.promise(6)
def test_a_refusal_is_told_with_its_rule_and_of_whom(acme: Tenant) -> None:
    refusal = NotAllowed("public words", reason="protected", cause=CANARY)
    refusal.concerns(subject_id=acme.seeded.sam, actor_ids=(acme.agent().id,), txn=(txn := uuid4()))
    with acme.tx() as tx:
        record_refusal(tx, "token", refusal, detail={"code": "x"}, caller=ADMINISTRATOR, now=acme.now)
    [recorded] = acme.events(txn=txn)
    told = recorded.event
    assert (told.type, told.outcome, told.reason, told.subject_id, told.actor_ids) == (
        "token.refused",
        "refused",
        "protected",
        acme.seeded.sam,
        (acme.agent().id,),
    )
    assert acme.events(principal_id=acme.agent().id)[-1] == recorded  # found by its actor too


@pytest.mark.promise(7)
def test_no_secret_token_or_private_key_is_ever_in_the_trail(source: Source, acme: Tenant) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot")
    acme.post("token", acme.agent("ocr-bot"), grant_type="client_credentials", client_secret=CANARY)
    acme.http.post(f"/t/{acme.slug}/oauth/token", data={"grant_type": CANARY}, auth=(CANARY, CANARY))
    acme.http.get(f"/t/{acme.slug}/scim/v2/Users", headers={"Authorization": f"Bearer {CANARY}"})
    source.user("pat", title=CANARY, emails=(f"{CANARY}@x",))
    connection_id = source.caller.connection_id
    assert connection_id is not None
    with acme.tx() as tx:
        _register(tx, acme)
        rotate_connection_token(tx, connection_id, token=CANARY, overlap_s=60, caller=ADMINISTRATOR, now=acme.now)
        end_connection(tx, connection_id, caller=ADMINISTRATOR, now=acme.now)
    trail = "\n".join(row[0] for row in rows(acme, "SELECT events::text FROM events"))
    secrets = [CANARY, "PRIVATE KEY", acme.agent("ocr-bot").secret, *tokens, *(token.split(".")[2] for token in tokens)]
    assert [secret for secret in secrets if secret and secret in trail] == []


# --- reading ---------------------------------------------------------------------------------------------------


def _read(tenant: Tenant, limit: int, **which: UUID | str | None) -> list[RecordedEvent]:
    found: list[RecordedEvent] = []
    while True:
        with tenant.tx() as tx:
            page = list_events(tx, after=found[-1].id if found else None, limit=limit, **which)  # type: ignore[arg-type]
        assert len(page) <= limit
        found.extend(page)
        if len(page) < limit:
            return found


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_the_trail_is_read_to_its_end_in_order_without_gaps_or_repeats(acme: Tenant, limit: int) -> None:
    acme.chain("invoice-bot", "ocr-bot")
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    found = _read(acme, limit)
    assert len(found) == count(acme, "events")
    assert [each.id for each in found] == sorted({each.id for each in found}, key=str)


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_filters_find_what_they_name_and_all_of_it(acme: Tenant, limit: int) -> None:
    acme.chain("invoice-bot", "ocr-bot")
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    everything = _read(acme, 50)
    txn = next(each.event.txn for each in everything if each.event.txn)
    sam, bot = acme.seeded.sam, acme.agent("ocr-bot").id
    assert _read(acme, limit, txn=txn) == [each for each in everything if each.event.txn == txn]
    assert _read(acme, limit, type="token.issued") == [e for e in everything if e.event.type == "token.issued"]
    for who in (sam, bot):
        assert _read(acme, limit, principal_id=who) == [
            each for each in everything if who == each.event.subject_id or who in each.event.actor_ids
        ]
    both = _read(acme, limit, principal_id=bot, type="token.issued", txn=txn)
    assert len(both) == 1


def test_the_events_of_one_request_are_in_the_order_in_which_they_happened(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    for round_ in range(5):
        source.amend(Kind.USER, user, active=round_ % 2 == 1)
    types = [each.event.type for each in acme.events(principal_id=user)]
    assert types == [
        "user.created",
        *["user.amended", "user.deprovisioned", "user.amended", "user.reactivated"] * 2,
        *["user.amended", "user.deprovisioned"],
    ]


# --- nobody rewrites it ----------------------------------------------------------------------------------------


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET reason = 'other' WHERE tenant_id = '{tenant}'",
        "UPDATE events SET tenant_id = tenant_id WHERE tenant_id = '{tenant}'",
        "DELETE FROM events WHERE tenant_id = '{tenant}'",
        "TRUNCATE events -- tenant_id",
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY -- tenant_id",
        "DROP TABLE events -- tenant_id",
        "INSERT INTO events (tenant_id, id, at, type, outcome, caller_kind) SELECT tenant_id, id, at, type, outcome,"
        " caller_kind FROM events WHERE tenant_id = '{tenant}' ON CONFLICT (tenant_id, id) DO UPDATE SET reason = 'x'",
    ],
    ids=lambda statement: " ".join(statement.split()[:3]),
)
def test_who_serves_requests_can_only_append(acme: Tenant, statement: str) -> None:
    before = digest(acme)
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), acme.tx() as tx:
        tx.connection.exec_driver_sql(statement.format(tenant=acme.seeded.id))
    assert digest(acme) == before
