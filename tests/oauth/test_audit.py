"""Every issue and every refusal is in the trail before the answer leaves, and no token or secret ever is."""

import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import structlog
from sqlalchemy.exc import ProgrammingError

from dev.postgres import OWNER
from identity.actions.delegations import end_delegation
from identity.model.lifecycle import Transition
from server.telemetry import configure_logging
from tests.fixtures import ADMINISTRATOR, AGENTS, CRM, Tenant, TwoTenants, access_token, claims_in

CANARY = "canary-7f3a"


@pytest.mark.promise(6)
def test_an_issue_is_told_with_its_subject_actors_task_and_request(acme: Tenant) -> None:
    tokens = acme.chain(*AGENTS)
    issued = acme.events(type="token.issued")
    assert len(issued) == 4
    for length, (recorded, token) in enumerate(zip(issued, tokens, strict=True), start=1):
        claims, event = claims_in(token), recorded.event
        assert event.outcome == "done"
        assert event.subject_id == acme.seeded.sam
        assert event.actor_ids == tuple(acme.agent(name).id for name in reversed(AGENTS[:length]))
        assert str(event.txn) == claims["txn"]
        assert event.detail["jti"] == claims["jti"]
        assert event.detail["scope"] == claims["scope"]
        assert event.detail["parent"] == (claims_in(tokens[length - 2])["jti"] if length > 1 else None)
        assert (recorded.caller_kind, recorded.caller_id) == ("client", claims["client_id"])
        assert recorded.request_id
        assert recorded.at == acme.now


@pytest.mark.promise(6)
def test_a_refusal_is_told_with_its_subject_actors_task_reason_and_request(acme: Tenant) -> None:
    second = acme.chain("invoice-bot", "ocr-bot")[-1]
    bot = acme.agent("archive-bot")
    answer = acme.http.post(
        "/t/acme/oauth/token",
        data={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": second,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "scope": "invoices.void",
        },
        auth=(bot.client_id, bot.secret or ""),
        headers={"X-Request-Id": "request-of-the-client"},
    )
    assert answer.json()["error"] == "invalid_scope"
    assert answer.headers["X-Request-Id"] == "request-of-the-client"
    recorded = acme.last_event()
    event = recorded.event
    assert (event.type, event.outcome, event.reason) == ("oauth.refused", "refused", "scope_exceeded")
    assert event.subject_id == acme.seeded.sam
    assert event.actor_ids == tuple(acme.agent(name).id for name in ("archive-bot", "ocr-bot", "invoice-bot"))
    assert str(event.txn) == claims_in(second)["txn"]
    assert (recorded.caller_kind, recorded.caller_id) == ("client", bot.client_id)
    assert recorded.request_id == "request-of-the-client"


@pytest.mark.promise(6)
def test_every_refusal_leaves_exactly_one_event_in_its_own_tenant(acme: Tenant, rival: Tenant) -> None:
    attempts = [
        lambda: acme.http.post("/t/acme/oauth/token"),
        lambda: acme.http.post("/t/acme/oauth/token?x=1", data={}),
        lambda: acme.post("token", None, grant_type="client_credentials"),
        lambda: acme.ask(acme.agent(), grant_type="nothing"),
        lambda: acme.ask(acme.agent(), grant_type="client_credentials", resource="https://nobody.example"),
        lambda: acme.exchange("invoice-bot", resource=CRM),
        lambda: acme.exchange("invoice-bot", subject_token="x"),
        lambda: acme.post("introspect", None, token="x"),
        lambda: acme.post("introspect", acme.seeded.erp),
        lambda: acme.post("revoke", None, token="x"),
        lambda: acme.http.post("/t/acme/oauth/introspect", content=b"x" * 70_000),
    ]
    theirs = len(rival.events())
    for attempt in attempts:
        before = len(acme.events())
        acme.runtime.refusals.kept.clear()  # as in a new minute
        assert attempt().status_code >= 400
        [recorded] = acme.events()[before:]
        assert recorded.event.type == "oauth.refused"
        assert recorded.event.reason
        assert recorded.request_id
    assert len(rival.events()) == theirs


@pytest.mark.parametrize(
    "offered", ["short", "x" * 65, "a b c d e f", "é" * 10, "<script>alert</script>", "a\tb\tc\td\te"]
)
def test_a_request_id_that_is_no_plain_word_is_replaced(read_only: Tenant, offered: str) -> None:
    answer = read_only.http.get("/t/acme/jwks", headers={b"X-Request-Id": offered.encode()})  # type: ignore[dict-item]
    assert answer.headers["X-Request-Id"] != offered
    assert len(answer.headers["X-Request-Id"]) == 32


@pytest.mark.promise(6)
def test_when_the_trail_cannot_be_written_no_token_leaves(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    other = acme.task_token()
    with owner_of_tables(two_tenants) as connection, ThreadPoolExecutor(2) as threads:
        connection.execute("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
        asked = [{}, {"scope": "more.than.held"}]
        for answer in threads.map(lambda form: acme.exchange("invoice-bot", **form), asked):
            assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
            assert answer.headers["Retry-After"]
        assert acme.is_live(other), "to look at what is needs no writing"
    assert len(acme.events(type="token.issued")) == 1


def owner_of_tables(two_tenants: TwoTenants) -> psycopg.Connection[Any]:
    url = two_tenants.runtime.engine.url
    return psycopg.connect(host=str(url.query["host"]), user=OWNER, dbname=url.database)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs, at its most talkative."""
    root = logging.getLogger()
    handlers, level, sink = root.handlers[:], root.level, io.StringIO()
    configure_logging("json", "debug", stream=sink)
    yield sink
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_neither_events_nor_logs_ever_hold_a_token_or_a_secret(two_tenants: TwoTenants, log: io.StringIO) -> None:
    """Every kind of request, right and wrong, with a canary wherever a secret may be."""
    acme = two_tenants.acme
    bot = acme.agent("ocr-bot")
    secrets = {CANARY, bot.secret or ""}
    id_token, own = acme.id_token(), acme.own_token("ocr-bot")
    tokens = [*acme.chain(*AGENTS), own]
    form = {"grant_type": "client_credentials", "client_secret": CANARY, "client_assertion": CANARY}
    acme.http.post("/t/acme/oauth/token", data=form, auth=(bot.client_id, CANARY))
    acme.http.post("/t/acme/oauth/token", data={"grant_type": "client_credentials"}, auth=(CANARY, CANARY))
    acme.http.post("/t/acme/oauth/token", data={"grant_type": CANARY, CANARY: CANARY}, auth=(bot.client_id, bot.secret))
    for wrong in ({"scope": CANARY}, {"resource": f"https://{CANARY}"}, {"subject_token": CANARY},
                  {"actor_token": CANARY, "actor_token_type": CANARY}, {"subject_token_type": CANARY},
                  {"authorization_details": f'[{{"type":"{CANARY}"}}]'}, {"subject_token": id_token[:-4]},
                  {"subject_token": acme.id_token(sub=CANARY, iss=f"https://{CANARY}\x00")}):  # fmt: skip
        acme.exchange("invoice-bot", **wrong)
    acme.post("revoke", acme.agent("mail-bot"), token=tokens[3])
    acme.post("introspect", acme.seeded.erp, token=CANARY)
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    with acme.tx() as tx:
        end_delegation(tx, acme.seeded.delegations["mail-bot"], caller=ADMINISTRATOR, now=acme.now)
    rows = acme.sql("SELECT to_jsonb(e) FROM events e WHERE tenant_id = :tenant")
    said = json.dumps([list(row) for row in rows]) + log.getvalue()
    for secret in {*secrets, *tokens, id_token, *(token.split(".")[2] for token in [*tokens, id_token])}:
        assert secret not in said
    kept = acme.sql("SELECT string_agg(to_jsonb(t)::text, '') FROM tokens t WHERE tenant_id = :tenant")[0][0]
    assert not any(token.split(".")[2] in kept for token in tokens), "nor is a token itself ever stored"


@pytest.mark.promise(7)
def test_the_application_can_neither_change_nor_delete_an_event(acme: Tenant) -> None:
    access_token(acme.exchange("invoice-bot"))
    for statement in (
        "UPDATE events SET reason = 'other' WHERE tenant_id = :tenant",
        "DELETE FROM events WHERE tenant_id = :tenant",
        "TRUNCATE events",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            acme.sql(statement)


@pytest.mark.promise(4)
def test_one_tenants_transaction_sees_no_row_of_the_other(acme: Tenant, rival: Tenant) -> None:
    acme.task_token()
    rival.task_token()
    for table in ("tokens", "tasks", "events", "principals", "clients", "delegations", "signing_keys", "connections"):
        found: list[Any] = acme.sql(f"SELECT DISTINCT tenant_id FROM {table}")
        assert [row[0] for row in found] == [acme.seeded.id], table
