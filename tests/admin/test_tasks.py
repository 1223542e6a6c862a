"""Tasks by the command line, how long they may go on, and tenants that change what they allow."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import pytest

from tests.admin.conftest import RESOURCE, Admin, Clock, Provision, Run

PURPOSE = "tidy up \x1b[2J the books"


@dataclass(frozen=True, slots=True)
class Bot:
    """An agent with its client, who asks for itself."""

    admin: Admin
    id: str
    client: dict[str, Any]

    def token(self, **form: str) -> str:
        words = f"{self.client['client_id']}:{self.client['client_secret']}".encode()
        headers = {"Authorization": "Basic " + b64encode(words).decode()}
        body = {"grant_type": "client_credentials"} | form
        answer = self.admin.http.post("/t/acme/oauth/token", data=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.get_json()["access_token"])

    def open(self, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token()}"}
        body = {"purpose": PURPOSE.replace("\x1b", "")} | more
        answer = self.admin.http.post("/t/acme/tasks", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.get_json()


@pytest.fixture
def bot(acme: Admin, provision: Provision, resource: str) -> Bot:
    dana = provision("acme", "user", "dana")
    id_ = provision("acme", "agent", "tidy-bot", owners=(dana,))
    made = acme.post("/clients", {"principal_id": id_, "scope": "invoices.read"})
    return Bot(acme, id_, made)


def test_a_task_is_shown_in_words(bot: Bot, run: Run) -> None:
    budget = {"tokens": 9, "tokens_per_minute": 3, "fan_out": 2, "depth": 1}
    entry = {"resource": RESOURCE, "scopes": ["invoices.read"]}
    txn = bot.open(authority=[entry], budget=budget, expires_in=600)["txn"]
    bot.token(txn=txn, resource=RESOURCE)
    shown = run("task", "show", "acme", txn).stdout
    assert "tidy up" in shown
    assert "tidy-bot" in shown
    assert f"invoices.read at {RESOURCE}" in shown
    assert "tokens 1 of 9, tokens_per_minute 1 of 3, fan_out 0 of 2, depth 1" in shown


def test_a_tree_is_drawn_with_names(bot: Bot, run: Run) -> None:
    txn = bot.open()["txn"]
    bot.token(txn=txn, resource=RESOURCE)
    run("task", "cancel", "acme", txn, "--reason", "enough")
    lines = run("task", "tree", "acme", txn).stdout.splitlines()
    assert lines[0].startswith(f"Task {txn}: tidy up")
    assert lines[1].startswith("opened by tidy-bot for tidy-bot at 2")
    assert lines[2].startswith("cancelled at 2")
    assert lines[2].endswith(": enough")
    assert lines[3].startswith(f"   itself: invoices.read at {RESOURCE}, 2")
    assert len(lines) == 4


def test_a_tree_is_one_document_for_programs(bot: Bot, ask: Any, run: Run) -> None:
    txn = bot.open()["txn"]
    assert ask("task", "tree", "acme", txn)["tokens"] == []
    assert ask("task", "show", "acme", txn)["authority"] is None
    run("task", "tree", "acme", "0193b000-0000-7000-8000-000000000000", exit_code=5)
    run("task", "tree", "acme", "nothing", exit_code=5)


# --- how long a task may go on ---


def test_a_delegation_says_how_long_a_task_under_it_may_go_on(acme: Admin, bot: Bot, provision: Provision) -> None:
    sam = provision("acme", "user", "sam")
    grant = {"actor_id": bot.id, "subject_id": sam, "resource": RESOURCE, "scopes": ["invoices.read"]}
    made = acme.post("/delegations", grant)
    assert made["max_task_s"] == 3600
    path = f"/delegations/{made['id']}"
    for value, is_narrowed in ((86_400, False), (60, True)):
        assert acme.patch(path, {"max_task_s": value})["max_task_s"] == value
        assert acme.events(type="delegation.changed")[-1]["detail"]["is_narrowed"] is is_narrowed
    assert acme.post("/delegations", grant | {"max_task_s": 7200})["max_task_s"] == 7200, "other terms"
    for value in (59, 86_401, "60", 60.5, True):
        problem = acme.patch(path, {"max_task_s": value}, 400)
        assert problem["errors"][0]["pointer"] == "/max_task_s"
        assert acme.post("/delegations", grant | {"max_task_s": value}, 400)["errors"][0]["pointer"] == "/max_task_s"


def test_a_tenant_says_it_for_all_and_what_stands_is_not_held_against_it(
    acme: Admin, rival: Admin, bot: Bot, provision: Provision
) -> None:
    sam = provision("acme", "user", "sam")
    grant = {"actor_id": bot.id, "subject_id": sam, "resource": RESOURCE, "scopes": ["invoices.read"]}
    before = acme.post("/delegations", grant)
    changed = acme.patch("", {"task_lifetime_max_s": 60, "max_task_s": 600})
    assert (changed["task_lifetime_max_s"], changed["max_task_s"], changed["display_name"]) == (60, 600, "Acme")
    assert acme.get("") == changed
    assert (rival.get("")["task_lifetime_max_s"], rival.get("")["max_task_s"]) == (300, 86_400)
    after = acme.post("/delegations", grant)
    assert (after["max_lifetime_s"], after["max_task_s"]) == (60, 600), "a new one has the lesser"
    for member, value in (("max_task_s", 601), ("max_lifetime_s", 61)):
        assert acme.post("/delegations", grant | {member: value}, 400)["errors"][0]["pointer"] == f"/{member}"
        assert acme.patch(f"/delegations/{before['id']}", {member: value}, 400)["errors"][0]["pointer"] == f"/{member}"
    assert acme.patch(f"/delegations/{before['id']}", {"max_depth": 2})["max_task_s"] == 3600


@pytest.mark.promise(9)
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"task_lifetime_max_s": 0}, "/task_lifetime_max_s"),
        ({"task_lifetime_max_s": 301}, "/task_lifetime_max_s"),
        ({"task_lifetime_max_s": "60"}, "/task_lifetime_max_s"),
        ({"max_task_s": 59}, "/max_task_s"),
        ({"max_task_s": 86_401}, "/max_task_s"),
        ({"display_name": ""}, "/display_name"),
        ({"display_name": "a\nb"}, "/display_name"),
        ({"slug": "other"}, "/slug"),
        ({"state": "suspended"}, "/state"),
    ],
)
def test_a_change_of_a_tenant_with_one_fault_changes_nothing(acme: Admin, change: dict[str, Any], pointer: str) -> None:
    before = acme.get("")
    assert acme.patch("", {"display_name": "Changed"} | change, 400)["errors"][0]["pointer"] == pointer
    assert acme.get("") == before
    assert acme.events(type="tenant.changed") == []


def test_a_change_of_a_tenant_is_an_event_once(acme: Admin, rival: Admin) -> None:
    for _ in range(2):
        acme.patch("", {"display_name": "Acme Corporation", "max_task_s": 86_400})
    assert acme.patch("", {})["display_name"] == "Acme Corporation"
    [event] = acme.events(type="tenant.changed")
    assert event["detail"] == {"slug": "acme", "display_name": "Acme Corporation"}
    assert rival.events(type="tenant.changed") == []
    assert rival.get("")["display_name"] == "Rival"


def test_a_tenant_that_is_not_there_is_not_changed(platform: Admin) -> None:
    assert Admin(platform.http, "nobody").patch("", {"display_name": "X"}, 404)["code"] == "not_found"


def test_what_a_tenant_allows_holds_for_what_is_opened_and_issued_from_then_on(
    acme: Admin, bot: Bot, clock: Clock
) -> None:
    before = bot.open(expires_in=3600)
    acme.patch("", {"max_task_s": 60})
    assert acme.get(f"/tasks/{before['txn']}")["expires_at"] == before["expires_at"], "what was opened stays"
    assert bot.open()["expires_at"] < before["expires_at"]
    clock.advance(seconds=61)
    assert acme.get(f"/tasks/{before['txn']}")["state"] == "open"


def test_the_command_changes_a_tenant_and_a_delegation(acme: Admin, bot: Bot, provision: Provision, ask: Any) -> None:
    sam = provision("acme", "user", "sam")
    changed = ask("tenant", "change", "acme", "--name", "Acme Corporation", "--task-lifetime-max-s", "120",
                  "--max-task-s", "7200")  # fmt: skip
    assert (changed["display_name"], changed["task_lifetime_max_s"], changed["max_task_s"]) == (
        "Acme Corporation", 120, 7200,
    )  # fmt: skip
    made = ask("delegation", "grant", "acme", "--actor", bot.id, "--subject", sam, "--resource", RESOURCE, "--scope",
               "invoices.read", "--max-task-s", "7200")  # fmt: skip
    assert made["max_task_s"] == 7200
    assert ask("delegation", "change", "acme", made["id"], "--max-task-s", "600")["max_task_s"] == 600
