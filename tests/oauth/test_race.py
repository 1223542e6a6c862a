"""What happens between reading and writing, and from many sides at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from identity.model.lifecycle import Transition
from tests.fixtures import AGENTS, Tenant, TwoTenants, access_token


@contextmanager
def between_reading_and_writing(two_tenants: TwoTenants, act: Any) -> Iterator[None]:
    """Let ``act`` happen, committed on another connection, when a request has read its facts and is about to write."""
    is_done = threading.Event()

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "pg_advisory_xact_lock_shared" in statement and not is_done.is_set():
            is_done.set()
            act()

    sqlalchemy_event.listen(two_tenants.runtime.engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        sqlalchemy_event.remove(two_tenants.runtime.engine, "before_cursor_execute", before)
    assert is_done.is_set()


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", [Transition.SUSPEND, Transition.DEPROVISION, Transition.DELETE])
@pytest.mark.parametrize("who", ["sam", "actor", "earlier actor"])
def test_a_cut_between_reading_and_writing_makes_the_exchange_refuse(
    two_tenants: TwoTenants, who: str, verb: Transition
) -> None:
    acme = two_tenants.acme
    first = acme.task_token()
    cut = {"sam": acme.seeded.sam, "actor": acme.agent("ocr-bot").id, "earlier actor": acme.agent().id}[who]
    with between_reading_and_writing(two_tenants, lambda: acme.befall(cut, verb)):
        answer = acme.exchange("ocr-bot", first)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert acme.last_event().event.reason == "party_cut_off"
    assert [event.event.type for event in acme.events()].count("token.issued") == 1, "only the first"


@pytest.mark.promise(1)
def test_a_cut_and_a_reactivation_in_between_make_it_refuse_too(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme

    def cut_and_revive() -> None:
        acme.befall(acme.seeded.sam, Transition.DEPROVISION)
        acme.befall(acme.seeded.sam, Transition.REACTIVATE)

    with between_reading_and_writing(two_tenants, cut_and_revive):
        answer = acme.exchange("invoice-bot")
    assert answer.json()["error"] == "invalid_grant"
    assert acme.sql("SELECT 1 FROM tasks WHERE tenant_id = :tenant") == [], "nor is a task left behind"


def test_an_agent_that_is_cut_while_it_asks_for_itself_gets_nothing(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    bot = acme.agent("ocr-bot")
    with between_reading_and_writing(two_tenants, lambda: acme.befall(bot.id, Transition.DEPROVISION)):
        assert acme.ask(bot, grant_type="client_credentials").json()["error"] == "invalid_grant"
    assert acme.last_event().event.subject_id == bot.id


@pytest.mark.promise(1)
def test_what_ends_in_between_ends_the_new_token_with_it(two_tenants: TwoTenants) -> None:
    """A revoked parent, an ended delegation: their epoch does not grow, and the token is dead on arrival."""
    acme = two_tenants.acme
    first = acme.task_token()
    revoke = lambda: acme.post("revoke", acme.agent(), token=first)  # noqa: E731
    with between_reading_and_writing(two_tenants, revoke):
        answer = acme.exchange("ocr-bot", first)
    assert answer.status_code != 200 or not acme.is_live(access_token(answer))


@pytest.mark.promise(1)
def test_under_load_nothing_that_starts_after_the_cut_succeeds(acme: Tenant) -> None:
    """Eight askers without pause; one deprovisioning in between. Whatever began after its commit is refused."""
    committed = threading.Event()
    outcomes: list[tuple[bool, int]] = []

    def ask(name: str) -> None:
        after = 0
        while after < 3:
            began_after = committed.is_set()
            after += began_after
            outcomes.append((began_after, acme.exchange(name).status_code))

    with ThreadPoolExecutor(8) as threads:
        asking = [threads.submit(ask, name) for name in AGENTS * 2]
        while len(outcomes) < 16:
            committed.wait(0.01)
        acme.befall(acme.seeded.sam, Transition.DEPROVISION)
        committed.set()
        for each in asking:
            each.result()
    assert {status for began_after, status in outcomes if began_after} == {400}
    assert {status for began_after, status in outcomes if not began_after} <= {200, 400}
    assert 200 in {status for _, status in outcomes}
    live = acme.sql(
        "SELECT 1 FROM tokens t JOIN principals p ON p.tenant_id = t.tenant_id AND p.id = t.subject_id"
        " WHERE t.tenant_id = :tenant AND p.state = 'active'"
    )
    assert live == []


def test_two_exchanges_of_one_token_at_once_share_its_task(acme: Tenant) -> None:
    first = acme.task_token()
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda name: acme.exchange(name, first), AGENTS[1:] * 2))
    assert {answer.status_code for answer in answers} == {200}
    assert acme.sql("SELECT count(*) FROM tasks WHERE tenant_id = :tenant")[0][0] == 1


def test_the_clock_of_the_house_decides_and_not_that_of_the_database(two_tenants: TwoTenants) -> None:
    token = two_tenants.acme.task_token()
    two_tenants.clock.now = datetime(2031, 1, 1, tzinfo=UTC)
    assert not two_tenants.acme.is_live(token)
