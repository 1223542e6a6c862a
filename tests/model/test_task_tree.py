"""The tree of a task's events: pure, and told right in whatever order events of one moment come."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

from identity.model.event import Event, Outcome, RecordedEvent
from identity.model.task import TaskState
from identity.model.task_tree import TaskToken, TaskTree, tree_of

BEGIN = datetime(2026, 11, 24, 9, 0, 0, 700_000, tzinfo=UTC)
TXN, SAM = UUID(int=1), UUID(int=2)
BOT, OCR, MAIL = UUID(int=11), UUID(int=12), UUID(int=13)


def event(
    second: int, type_: str, actors: Sequence[UUID] = (), reason: str | None = None, **detail: Any
) -> RecordedEvent:
    outcome = Outcome.REFUSED if type_.endswith("refused") else Outcome.DONE
    told = Event(type_, outcome, SAM, tuple(actors), TXN, reason, detail)
    return RecordedEvent(
        UUID(int=1000 + second), BEGIN + timedelta(seconds=second), "client", "client-1", "request", told
    )


def issued(second: int, jti: int, parent: int | None, actors: Sequence[UUID], **more: Any) -> RecordedEvent:
    told = {"jti": str(UUID(int=jti)), "parent": None if parent is None else str(UUID(int=parent)),
            "client_id": "client-1", "audience": "https://erp.example", "scope": "read", "expires_in": 120}  # fmt: skip
    return event(second, "token.issued", actors, **told | more)


def shape(tokens: Sequence[TaskToken]) -> list[Any]:
    return sorted((token.jti.int, shape(token.children)) for token in tokens)


def tree(*events: RecordedEvent) -> TaskTree:
    return tree_of(TXN, events, is_truncated=False)


def test_a_token_whose_parent_comes_later_in_the_log_is_still_below_it() -> None:
    events = [issued(1, 100, None, [BOT]), issued(1, 101, 100, [OCR, BOT]), issued(1, 102, 101, [MAIL, OCR, BOT])]
    for order in permutations(events):
        assert shape(tree(*order).tokens) == [(100, [(101, [(102, [])])])]


def test_a_token_that_was_traded_for_nothing_of_this_task_is_a_root() -> None:
    assert shape(tree(issued(1, 100, 7, [BOT]), issued(2, 101, None, [])).tokens) == [(100, []), (101, [])]
    assert tree(issued(2, 101, None, [])).tokens[0].actor_id is None, "the subject's own"


def test_editions_are_one_node_and_what_came_of_any_is_below_it() -> None:
    first = issued(1, 100, None, [BOT])
    second = issued(200, 101, 100, [BOT], renewal=True, first_jti=str(UUID(int=100)))
    third = issued(400, 102, 101, [BOT], renewal=True, first_jti=str(UUID(int=100)))
    of_second = issued(210, 103, 101, [OCR, BOT])
    found = tree(first, second, of_second, third)
    assert shape(found.tokens) == [(100, [(103, [])])]
    assert found.tokens[0].renewals == 2
    assert found.tokens[0].issued_at == BEGIN + timedelta(seconds=1)
    assert found.tokens[0].expires_at == (BEGIN + timedelta(seconds=400)).replace(microsecond=0) + timedelta(
        seconds=120
    )
    revoked = event(410, "token.revoked", [BOT], jti=str(UUID(int=102)))
    assert tree(first, second, third, revoked).tokens[0].revoked_at == BEGIN + timedelta(seconds=410)


def test_a_cancelled_branch_marks_every_token_in_whose_chain_the_actor_is() -> None:
    found = tree(
        issued(1, 100, None, [BOT]),
        issued(2, 101, 100, [OCR, BOT]),
        issued(3, 102, 101, [MAIL, OCR, BOT]),
        issued(4, 103, 100, [MAIL, BOT]),
        event(5, "task.branch_cancelled", [OCR], "by_actor"),
    )
    [root] = found.tokens
    ocr, mail = root.children
    assert (root.is_cancelled, ocr.is_cancelled, ocr.children[0].is_cancelled, mail.is_cancelled) == (
        False, True, True, False,
    )  # fmt: skip


def test_a_refusal_is_under_the_token_that_was_presented_in_whatever_edition() -> None:
    renewed = issued(2, 101, 100, [BOT], renewal=True, first_jti=str(UUID(int=100)))
    under = event(3, "oauth.refused", [OCR, BOT], "scope_exceeded", parent=str(UUID(int=101)))
    found = tree(issued(1, 100, None, [BOT]), renewed, under, event(4, "oauth.refused", [OCR], "not_the_opener"))
    assert [refused.reason for refused in found.tokens[0].refusals] == ["scope_exceeded"]
    assert [refused.reason for refused in found.refusals] == ["not_the_opener"]


def test_a_crossing_is_where_the_audience_changes() -> None:
    found = tree(issued(1, 100, None, [BOT]), issued(2, 101, 100, [OCR, BOT], audience="https://ledger.example"))
    assert (found.tokens[0].has_crossed, found.tokens[0].children[0].has_crossed) == (False, True)


def test_what_opened_and_ended_a_task_heads_its_tree() -> None:
    opened = event(0, "task.opened", [BOT], purpose="pay")
    found = tree(opened, issued(1, 100, None, [OCR]), event(9, "task.cancelled", [BOT], "by_subject"))
    assert (found.opened_by, found.purpose, found.opened_at, found.subject_id) == (BOT, "pay", BEGIN, SAM)
    assert (found.ended_as, found.ended_reason) == (TaskState.CANCELLED, "by_subject")
    by_exchange = tree(issued(1, 100, None, [OCR]))
    assert (by_exchange.opened_by, by_exchange.purpose, by_exchange.ended_as) == (OCR, None, None)
