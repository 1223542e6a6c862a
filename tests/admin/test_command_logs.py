"""The logs on the command line: newest first, in a span of time, as they grow, and a task as its course."""

import json
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cli import logs
from tests.admin.conftest import Admin, Clock, Provision, Run

Ask = Callable[..., Any]


@pytest.fixture
def people(acme: Admin, provision: Provision, clock: Clock) -> list[str]:
    """Users, each made a minute after the one before; the last just now."""
    clock.advance(minutes=-3)
    made = []
    for number in range(4):
        made.append(provision("acme", "user", f"user-{number}"))
        clock.advance(minutes=1)
    return made


def subjects(page: Any) -> list[str]:
    return [event["subject_id"] for event in page["items"]]


def test_the_audit_log_is_listed_newest_first_and_in_a_span_of_time(ask: Ask, people: list[str], clock: Clock) -> None:
    listed = ("audit", "list", "acme", "--type", "user.created")
    assert subjects(ask(*listed)) == people[::-1]
    assert subjects(ask(*listed, "--oldest-first")) == people
    assert subjects(ask(*listed, "--since", "90s")) == people[-2:][::-1]
    assert subjects(ask(*listed, "--until", "90s", "--oldest-first")) == people[:-2]
    since = (clock.now - timedelta(seconds=130)).isoformat()
    assert subjects(ask(*listed, "--since", since)) == people[-2:][::-1]
    first = ask(*listed, "--limit", "3")
    assert subjects(ask(*listed, "--after", first["next_cursor"])) == people[:1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "yesterday"), "is not a time: 2026-11-30T10:00:00Z, or how long ago: 15m, 2h, 3d"),
        (("--since", "2026-11-30T10:00:00"), "does not say its offset from UTC"),
        (("--until", "999999w"), "is not a time"),
        (("--follow", "--until", "1m"), "--follow goes with none of --until, --after and --oldest-first"),
        (("--follow", "--oldest-first"), "--follow goes with none of"),
    ],
)
def test_a_time_or_a_choice_that_cannot_be_read_is_wrong_usage(
    run: Run, acme: Admin, words: tuple[str, ...], said: str
) -> None:
    assert said in run("audit", "list", "acme", *words, exit_code=2).stderr


def test_pages_are_printed_as_they_come(run: Run, acme: Admin, provision: Provision, monkeypatch: Any) -> None:
    made = [provision("acme", "user", f"user-{number}") for number in range(5)]
    monkeypatch.setattr("cli.remote.PAGE", 2)
    lines = run("audit", "list", "acme", "--type", "user.created", "--limit", "5").stdout.splitlines()
    assert lines[0].split() == ["at", "type", "outcome", "reason", "subject", "actors", "txn", "id"]
    assert [line.split()[4] for line in lines[1:]] == [f"user-{number}" for number in range(5)][::-1]
    told = json.loads(run("user", "list", "acme", "--json").stdout)
    assert [user["id"] for user in told["items"]] == made


@pytest.mark.parametrize("as_json", [True, False])
def test_the_log_is_followed_until_it_is_interrupted_and_no_event_is_shown_twice(
    run: Run, acme: Admin, provision: Provision, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    made = [provision("acme", "user", "before-0"), provision("acme", "user", "before-1")]
    polls = iter(range(3))

    def pause(_seconds: float) -> None:
        number = next(polls)
        if number == 2:
            raise KeyboardInterrupt
        made.append(provision("acme", "user", f"after-{number}"))

    monkeypatch.setattr(logs, "time", SimpleNamespace(sleep=pause))
    words = ("audit", "list", "acme", "--follow", "--type", "user.created", "--limit", "1")
    shown = run(*words, *(["--json"] if as_json else [])).stdout.splitlines()
    if as_json:
        assert [json.loads(line)["subject_id"] for line in shown] == made[1:]
    else:
        assert [line.split()[4] for line in shown[1:]] == ["before-1", "after-0", "after-1"]


def test_an_event_that_is_committed_after_one_with_a_higher_id_is_followed_too() -> None:
    id_ = "01a22cb0-8575-7000-8000-000000000000"
    before = logs.overlapping(id_)
    assert int(id_.replace("-", "")[:12], 16) - int(before.replace("-", "")[:12], 16) == logs.OVERLAP_MS
    assert logs.overlapping("00000000-0001-7000-8000-000000000000") == "00000000-0000-0000-0000-000000000000"


def test_the_provisioning_log_is_listed_newest_first_by_the_name_of_its_connection(
    run: Run, ask: Ask, acme: Admin
) -> None:
    made = acme.post("/connections", {"kind": "scim", "name": "our entra"})
    headers = {"Authorization": f"Bearer {made['token']}", "Content-Type": "application/scim+json"}
    for name in ("first", "second"):
        acme.http.post("/t/acme/scim/v2/Users", json={"schemas": [USER], "userName": name}, headers=headers)
    assert [one["name"] for one in ask("connection", "log", "acme", "our entra")["items"]] == ["second", "first"]
    assert [one["name"] for one in ask("connection", "log", "acme", "our entra", "--since", "1h", "--oldest-first")[
        "items"]] == ["first", "second"]  # fmt: skip
    assert ask("connection", "log", "acme", "our entra", "--until", "1h")["items"] == []


USER = "urn:ietf:params:scim:schemas:core:2.0:User"


def test_a_task_is_shown_as_its_course_and_one_without_events_as_no_results(run: Run, ask: Ask, acme: Admin) -> None:
    nobodys = "01a22cb0-8575-7000-8000-000000000000"
    assert run("audit", "list", "acme", "--txn", nobodys).stdout == "No results.\n"
    assert ask("audit", "list", "acme", "--txn", nobodys) == {"items": [], "next_cursor": None}
