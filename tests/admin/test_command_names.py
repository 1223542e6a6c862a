"""Names instead of ids on the command line, and ids that can be copied from what it prints."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cli import table
from tests.admin.conftest import ADMIN_TOKEN, RESOURCE, Admin, Provision, Run

Ask = Callable[..., Any]
ID = re.compile(r"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])")


def test_users_groups_and_service_accounts_have_commands_of_their_own(
    ask: Ask, acme: Admin, provision: Provision
) -> None:
    dana, team = provision("acme", "user", "dana@acme.example"), provision("acme", "group", "Finance")
    batch, bot = provision("acme", "service_account", "batch"), provision("acme", "agent", "bot")
    assert [one["id"] for one in ask("user", "list", "acme")["items"]] == [dana]
    assert [one["id"] for one in ask("group", "list", "acme")["items"]] == [team]
    assert ask("group", "show", "acme", "finance")["id"] == team
    assert ask("user", "suspend", "acme", "Dana@ACME.example", "--reason", "odd")["state"] == "suspended"
    assert [one["id"] for one in ask("user", "list", "acme", "--state", "suspended")["items"]] == [dana]
    assert ask("agent", "list", "acme", "--state", "suspended")["items"] == []
    assert ask("user", "reactivate", "acme", "dana@acme.example")["state"] == "active"
    assert ask("user", "deprovision", "acme", dana)["state"] == "deprovisioned"
    assert ask("service-account", "show", "acme", "batch")["id"] == batch
    assert ask("agent", "show", "acme", "bot")["id"] == bot
    assert ask("agent", "show", "acme", "dana@acme.example", "--kind", "user")["id"] == dana


def test_a_connection_is_shown_changed_and_ended_by_its_name(ask: Ask, acme: Admin) -> None:
    old = ask("connection", "create", "acme", "--kind", "scim", "--name", "our entra")["id"]
    assert ask("connection", "end", "acme", "our entra")["id"] == old
    assert ask("connection", "show", "acme", "our entra")["id"] == old
    new = ask("connection", "create", "acme", "--kind", "scim", "--name", "our entra")["id"]
    assert ask("connection", "show", "acme", "our entra")["id"] == new
    assert ask("connection", "change", "acme", "our entra", "--dialect", "okta")["dialect"] == "okta"
    assert ask("connection", "rotate-token", "acme", "our entra")["token"]
    assert ask("connection", "log", "acme", "our entra")["items"] == []
    assert ask("client", "create", "acme", "--connection", "our entra")["connection_id"] == new


def test_an_ambiguous_name_is_told_with_the_ids_that_it_may_mean(
    run: Run, ask: Ask, acme: Admin, rival: Admin, provision: Provision
) -> None:
    teams = [provision("acme", "group", "Finance") for _ in range(2)]
    provision("rival", "group", "Finance")
    said = run("group", "show", "acme", "finance", exit_code=6).stderr
    assert "more than one group is called 'finance'; give the id:" in said
    assert ID.findall(said) == teams
    told = json.loads(run("group", "show", "acme", "finance", "--json", exit_code=6).stderr)
    assert (told["code"], [each["id"] for each in told["candidates"]]) == ("ambiguous_name", teams)
    for _ in range(2):
        ask("connection", "create", "acme", "--kind", "scim", "--name", "entra")
    assert "more than one connection" in run("connection", "end", "acme", "entra", exit_code=6).stderr
    assert ask("group", "show", "acme", teams[0])["id"] == teams[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("agent", "show", "acme", "invoice-bto"), "no agent called 'invoice-bto' in acme; did you mean invoice-bot?"),
        (("connection", "show", "acme", "Okat"), "there is no connection called 'Okat' in acme; did you mean Okta?"),
        (("user", "show", "acme", "nobody"), "there is no user called 'nobody' in acme\n"),
        (("task", "list", "acme", "--principal", "x"), "no user, group, agent or service account called 'x'"),
        (("tenant", "show", "acem"), "there is no such tenant"),
        (("task", "show", "acme", "TASK_ID"), "there is no task with the id 'TASK_ID'"),
        (("audit", "list", "acme", "--txn", "TASK_ID"), "--txn must be a task id (UUID)"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_told_with_what_is_almost_called_so(
    run: Run, acme: Admin, provision: Provision, words: tuple[str, ...], said: str
) -> None:
    provision("acme", "agent", "invoice-bot")
    acme.post("/connections", {"kind": "scim", "name": "Okta"})
    refused = run(*words, exit_code=7 if "--txn" in words else 5)
    assert said in refused.stderr


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("connection", "create", "acme", "--kind", "oidc", "--name", "x"),
         {"/issuer": "--issuer", "/audiences": "--audience"}),
        (("delegation", "grant", "acme", "--actor", "bot", "--subject", "sam", "--resource", RESOURCE, "--scope", "x",
          "--expires-at", "tomorrow"), {"/expires_at": "--expires-at"}),
        (("delegation", "grant", "acme", "--actor", "bot", "--subject", "sam", "--resource", "https://other.example",
          "--scope", "x"), {"/resource": "--resource"}),
        (("tenant", "create", "acme2", "--name", " x"), {"/display_name": "--name"}),
        (("agent", "list", "acme", "--after", "x"), {"after": "--after"}),
    ],
)  # fmt: skip
def test_a_fault_names_the_option_that_it_is_about(
    run: Run, acme: Admin, provision: Provision, words: tuple[str, ...], options: dict[str, str]
) -> None:
    provision("acme", "agent", "bot")
    provision("acme", "user", "sam")
    told = json.loads(run(*words, "--json", exit_code=7).stderr)
    assert {fault["pointer"]: fault["option"] for fault in told["errors"]} == options
    assert all(fault["message"].startswith(fault["option"]) for fault in told["errors"])
    assert (told["exit_status"], told["pointer"], bool(told["request_id"])) == (7, next(iter(options)), True)


# --- what is printed -------------------------------------------------------------------------------------------


@pytest.fixture
def many(acme: Admin, provision: Provision, resource: str) -> list[str]:
    """Delegations between parties of long names."""
    bot = provision("acme", "agent", "an-agent-of-a-rather-long-name-" * 3)
    made = []
    for number in range(3):
        sam = provision("acme", "user", f"a.person.of.a.rather.long.name.{number}@acme.example")
        scopes = ["invoices.read", "invoices.pay"]
        asked = {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": scopes}
        made.append(acme.post("/delegations", asked)["id"])
    return made


def piped(base_url: str, *words: str) -> str:
    """Run the program with its output in a pipe, in a terminal that is said to be narrow."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    environment |= {"IDENTITY_URL": base_url, "IDENTITY_ADMIN_TOKEN": ADMIN_TOKEN, "COLUMNS": "40"}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_every_row_is_one_line_in_a_pipe_with_its_id_whole(base_url: str, many: list[str]) -> None:
    header, *rows = piped(base_url, "delegation", "list", "acme").splitlines()
    assert header.split() == ["id", "actor", "subject", "resource", "scopes", "expires_at", "ended_at"]
    assert [row.split()[0] for row in rows] == many
    assert all("@acme.example" in row and "an-agent" in row for row in rows)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 400])
def test_ids_are_whole_on_a_terminal_of_any_width(
    run: Run, many: list[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(table, "terminal_width", lambda: width)
    shown = run("delegation", "list", "acme").stdout
    assert [line.split()[0] for line in shown.splitlines() if ID.match(line)] == many
    assert max(map(len, shown.splitlines())) <= max(width, len("Not shown for want of room: ") + 80)
    assert ("Not shown for want of room" in shown) == (width < 120)


def test_lists_show_names_and_json_keeps_ids(
    run: Run, ask: Ask, acme: Admin, provision: Provision, resource: str
) -> None:
    bot, team = provision("acme", "agent", "bot"), provision("acme", "group", "Finance")
    asked = {"actor_id": bot, "subject_group_id": team, "resource": resource, "scopes": ["invoices.read"]}
    made = acme.post("/delegations", asked)["id"]
    shown = run("delegation", "list", "acme", "--active").stdout
    assert re.search(rf"{made}  bot +Finance", shown)
    assert ask("delegation", "list", "acme", "--active")["items"][0]["actor_id"] == bot
    acme.delete(f"/delegations/{made}")
    assert run("delegation", "list", "acme", "--active").stdout == "No results.\n"
    assert re.search(r"is_protected +no\b", run("agent", "show", "acme", "bot").stdout)
