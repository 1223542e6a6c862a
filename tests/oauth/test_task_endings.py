"""Who ends a task, and what ends with it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from identity.actions.tasks import get_task
from identity.model.lifecycle import Transition
from tests.fixtures import AGENTS, Tenant, TwoTenants, access_token, claims_in
from tests.oauth.tasking import ACCESS_TOKEN, ask, bearer, open_task, person, refusal, wanted
from tests.oauth.test_cut_is_the_last_word import held_before_commit
from tests.oauth.test_race import between_reading_and_writing


def txn_of(token: str) -> str:
    found: str = claims_in(token)["txn"]
    return found


def events_of(tenant: Tenant, txn: str) -> list[tuple[str, str | None]]:
    """The types and reasons of a task's events that are no tokens."""
    found = [event.event for event in tenant.events(txn=UUID(txn))]
    return [(event.type, event.reason) for event in found if event.type.startswith("task.")]


@pytest.mark.promise(1)
@pytest.mark.parametrize(("ending", "state"), [("complete", "completed"), ("cancel", "cancelled")])
def test_its_opener_ends_a_task_and_every_token_of_it_at_once(acme: Tenant, ending: str, state: str) -> None:
    tokens, other = acme.chain(*AGENTS), acme.task_token()
    txn = txn_of(tokens[0])
    for _ in range(2):  # doing it twice is doing it once
        ended = ask(acme, "POST", f"/{txn}/{ending}")
        assert (ended.status_code, ended.json()["state"]) == (200, state)
        assert ended.json()["ended_at"]
    assert not any(map(acme.is_live, tokens))
    assert acme.exchange("ocr-bot", tokens[0]).status_code == 400
    assert acme.is_live(other)
    assert events_of(acme, txn) == [(f"task.{state}", "by_opener")]
    assert [row[0] for row in acme.sql("SELECT key FROM cutoffs WHERE tenant_id = :tenant AND kind = 'task'")] == [txn]


def test_one_end_is_not_the_other(acme: Tenant) -> None:
    for first, second in (("complete", "cancel"), ("cancel", "complete")):
        txn = txn_of(acme.task_token())
        assert ask(acme, "POST", f"/{txn}/{first}").status_code == 200
        assert refusal(ask(acme, "POST", f"/{txn}/{second}")) == (409, "invalid_request", "task_ended")
        refused = acme.last_event().event
        assert (refused.type, str(refused.txn), refused.reason) == ("oauth.refused", txn, "task_ended")


@pytest.mark.promise(1)
def test_an_actor_cancels_its_own_branch_and_all_that_came_of_it(acme: Tenant, rival: Tenant) -> None:
    theirs = rival.chain("invoice-bot", "ocr-bot")
    first = acme.task_token()
    ocr, archive = acme.task_token("ocr-bot", first), acme.task_token("archive-bot", first)
    mail = acme.task_token("mail-bot", ocr)
    txn = txn_of(first)
    for _ in range(2):
        cancelled = ask(acme, "POST", f"/{txn}/cancel", agent="ocr-bot")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "open")
        assert cancelled.json()["branch_ended_at"]
    assert [acme.is_live(token) for token in (first, ocr, archive, mail)] == [True, False, True, False]
    assert all(map(rival.is_live, theirs)), "the twin in the other tenant"
    later = acme.exchange("ocr-bot", first)
    assert refusal(later) == (400, "invalid_grant", "branch_cancelled")
    assert acme.exchange("mail-bot", ocr).status_code == 400
    assert acme.is_live(acme.task_token("mail-bot", archive)), "mail-bot's own branch was not cancelled"
    assert events_of(acme, txn) == [("task.branch_cancelled", "by_actor")]
    assert acme.events(type="task.branch_cancelled")[0].event.actor_ids == (acme.agent("ocr-bot").id,)


def test_an_actor_sees_the_task_and_does_not_complete_it(acme: Tenant) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot")
    txn = txn_of(tokens[0])
    assert ask(acme, "GET", f"/{txn}", agent="ocr-bot").json()["state"] == "open"
    refused = ask(acme, "POST", f"/{txn}/complete", agent="ocr-bot")
    assert refusal(refused) == (403, "access_denied", "not_the_opener")
    assert acme.is_live(tokens[0])
    assert ask(acme, "GET", agent="ocr-bot").json()["items"] == [], "it opened none"


def test_the_branch_of_an_ended_task_is_ended_already(acme: Tenant) -> None:
    txn = txn_of(acme.chain("invoice-bot", "ocr-bot")[0])
    ask(acme, "POST", f"/{txn}/cancel")
    assert ask(acme, "POST", f"/{txn}/cancel", agent="ocr-bot").json()["state"] == "cancelled"
    txn = txn_of(acme.chain("invoice-bot", "ocr-bot")[0])
    ask(acme, "POST", f"/{txn}/complete")
    assert refusal(ask(acme, "POST", f"/{txn}/cancel", agent="ocr-bot")) == (409, "invalid_request", "task_ended")


@pytest.mark.promise(1)
def test_any_agent_cancels_the_whole_for_the_person_whose_own_token_it_presents(acme: Tenant) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot")
    txn = txn_of(tokens[0])
    for _ in range(2):
        answer = ask(acme, "POST", f"/{txn}/cancel", body=person(acme), agent="mail-bot")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.json().keys() == {"txn", "state", "ended_at"}, "mail-bot has no part in it"
    assert not any(map(acme.is_live, tokens))
    assert events_of(acme, txn) == [("task.cancelled", "by_subject")]


@pytest.mark.promise(4)
def test_another_persons_token_cancels_nothing(acme: Tenant, rival: Tenant) -> None:
    token = acme.task_token()
    nowhere = "0193b000-0000-7000-8000-000000000000"
    for agent in ("mail-bot", "invoice-bot"):
        there, elsewhere = (
            ask(acme, "POST", f"/{txn}/cancel", body=person(acme, "dana"), agent=agent)
            for txn in (txn_of(token), nowhere)
        )
        assert refusal(there) == (404, "invalid_request", "not_found")
        assert there.json() == elsewhere.json()
    theirs = ask(acme, "POST", f"/{txn_of(token)}/cancel", body=person(rival), agent="mail-bot")
    assert refusal(theirs) == (400, "invalid_request", "subject_token_signature")
    assert acme.is_live(token)


def test_a_task_token_is_not_the_persons_own(acme: Tenant) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot")
    body = {"subject_token": tokens[1], "subject_token_type": ACCESS_TOKEN}
    answer = ask(acme, "POST", f"/{txn_of(tokens[1])}/cancel", body=body, agent="ocr-bot")
    assert refusal(answer) == (400, "invalid_request", "subject_token_act")
    assert all(map(acme.is_live, tokens))


@pytest.mark.promise(1)
def test_a_cancelled_branch_is_the_last_word_when_an_exchange_is_about_to_be_answered(two_tenants: TwoTenants) -> None:
    """The exchange has read that the branch stands; it is cancelled before it writes."""
    acme = two_tenants.acme
    first = acme.task_token()
    ocr, own = acme.task_token("ocr-bot", first), bearer(acme, "ocr-bot")
    with between_reading_and_writing(two_tenants, lambda: ask(acme, "POST", f"/{txn_of(first)}/cancel", token=own)):
        answer = acme.exchange("mail-bot", ocr)
    assert refusal(answer) == (400, "invalid_grant", "branch_cancelled")


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    ("agent", "ending"), [("invoice-bot", "complete"), ("invoice-bot", "cancel"), ("ocr-bot", "cancel")]
)
def test_an_end_waits_for_a_token_that_is_held_up_for_a_second_and_does_not_fail(
    two_tenants: TwoTenants, agent: str, ending: str
) -> None:
    acme, released = two_tenants.acme, threading.Event()
    first = acme.task_token()
    ocr, own = acme.task_token("ocr-bot", first), bearer(acme, agent)
    with held_before_commit(two_tenants, released) as held, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(acme.exchange, "mail-bot", ocr)
        assert held.wait(20)
        assert ask(acme, "POST", f"/{txn_of(first)}/{ending}", token=own).status_code == 200
        released.set()
        assert asked.result().status_code == 503
    assert not acme.is_live(ocr)


@pytest.mark.promise(1)
@pytest.mark.parametrize("round_", range(4))
def test_under_load_a_branch_is_cancelled_at_once_and_no_token_of_it_outlives_that(acme: Tenant, round_: int) -> None:
    """The actor itself asks too, so that its next token and the end of its branch are about the same row."""
    first = acme.task_token()
    ocr, own = acme.task_token("ocr-bot", first), bearer(acme, "ocr-bot")
    with ThreadPoolExecutor(6) as threads:
        of_both = [("mail-bot", ocr), ("ocr-bot", first)] * 6
        asked = [threads.submit(acme.exchange, *each) for each in of_both]
        while not any(each.done() for each in asked[: 2 * round_ + 1]):
            threading.Event().wait(0.001)
        assert ask(acme, "POST", f"/{txn_of(first)}/cancel", token=own).status_code == 200
        late = [threads.submit(acme.exchange, "ocr-bot", first).result() for _ in range(3)]
        answers = [each.result() for each in asked]
    issued = [access_token(answer) for answer in answers if answer.status_code == 200]
    assert not any(map(acme.is_live, issued))
    assert {answer.status_code for answer in answers} <= {200, 400}
    assert {answer.status_code for answer in late} == {400}


@pytest.mark.promise(1)
def test_a_subject_that_is_cut_while_a_task_is_being_opened_has_none_opened(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    own = bearer(acme, "invoice-bot")
    body = wanted(acme)
    with between_reading_and_writing(two_tenants, lambda: acme.befall(acme.seeded.sam, Transition.SUSPEND)):
        answer = ask(acme, "POST", body=body, token=own)
    assert refusal(answer) == (400, "invalid_grant", "party_cut_off")
    assert acme.sql("SELECT count(*) FROM tasks WHERE tenant_id = :tenant") == [(0,)]


@pytest.mark.promise(1)
@pytest.mark.parametrize("who", ["sam", "agent"])
def test_a_task_ends_with_its_subject_and_its_opener(acme: Tenant, who: str) -> None:
    txn = open_task(acme)["txn"]
    acme.befall(acme.seeded.sam if who == "sam" else acme.agent().id, Transition.SUSPEND)
    [(subject_epoch, actor_epoch)] = acme.sql(
        "SELECT subject_epoch, actor_epoch FROM tasks WHERE tenant_id = :tenant AND txn = :txn", txn=txn
    )
    assert (subject_epoch, actor_epoch) == (0, 0)
    with acme.tx() as tx:
        assert get_task(tx, UUID(txn)).state == "cancelled"


@pytest.mark.promise(8)
def test_an_agent_opens_only_so_many_tasks_in_so_short_a_time(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("identity.store.task_counts.TASKS_OPENED_MAX", 16)
    opened = 0
    while (answer := ask(acme, "POST", body={"purpose": "again"})).status_code == 201:
        opened += 1
        assert opened <= 16
    assert refusal(answer) == (429, "temporarily_unavailable", "too_many_tasks")
    assert answer.headers["Retry-After"] == "60"
    assert ask(acme, "POST", body={"purpose": "again"}, agent="ocr-bot").status_code == 201, "another agent has its own"
