"""A task as its course: each token below the one that it was exchanged for, parties by name."""

from typing import Any

from cli.task_log import course_of

SAM, BOT, OCR = "sam's id", "bot's id", "ocr's id"
NAMES = {SAM: "sam@acme.example", BOT: "invoice-bot"}


def event(type_: str, actors: list[str], second: int, reason: str | None = None, **detail: Any) -> dict[str, Any]:
    return {
        "at": f"2026-11-30T10:00:{second:02}.123456Z",
        "type": type_,
        "outcome": "done",
        "reason": reason,
        "subject_id": SAM,
        "actor_ids": actors,
        "detail": detail,
    }


def issued(jti: str, parent: str | None, actors: list[str], second: int) -> dict[str, Any]:
    told = {"scope": "invoices.read", "audience": "https://erp.example", "expires_in": 120}
    return event("token.issued", actors, second, jti=jti, parent=parent, **told)


def test_each_token_is_below_the_one_that_it_was_exchanged_for() -> None:
    events = [
        issued("1", None, [BOT], 1),
        issued("2", "1", [OCR, BOT], 2),
        event("oauth.refused", [BOT], 3, "scope_exceeded", parent="1"),
        event("token.introspected", [OCR, BOT], 4, jti="2"),
        event("task.cancelled", [], 5, "by_administrator"),
    ]
    at, of_token = "2026-11-30T10:00:0", "invoices.read at https://erp.example, 120 s"
    assert list(course_of(events, NAMES)) == [
        f"{at}1.123   token.issued: invoice-bot for sam@acme.example: {of_token}",
        f"{at}2.123      token.issued: ocr's id via invoice-bot for sam@acme.example: {of_token}",
        f"{at}3.123      oauth.refused: invoice-bot for sam@acme.example: scope_exceeded",
        f"{at}4.123         token.introspected: ocr's id via invoice-bot for sam@acme.example",
        f"{at}5.123   task.cancelled: sam@acme.example: by_administrator",
    ]


def test_a_name_can_do_nothing_to_a_terminal() -> None:
    [line] = course_of([event("task.cancelled", [], 1)], {SAM: "sam\x1b[2J\n"})
    assert line.endswith("task.cancelled: sam\ufffd[2J\ufffd")
