"""The commands of resource servers and their pairs, over HTTP against a running server."""

from collections.abc import Callable
from typing import Any

from tests.admin.conftest import RESOURCE, Admin, Provision, Run

CRM = "https://crm.example"


def test_a_pair_is_made_shown_and_deleted(
    ask: Callable[..., Any],
    run: Run,
    acme: Admin,
    provision: Provision,
) -> None:
    provision("acme", "agent", "erp-bot")
    erp = ask(
        "resource", "register", "acme", RESOURCE, "--run-by", "erp-bot", "--scope", "read", "--details-type", "note"
    )
    ask("resource", "register", "acme", CRM, "--scope", "look", "--scope", "write", "--details-type", "memo")
    given = ("--scope", "read", "look", "--scope", "read", "write", "--details-type", "note", "memo")
    made = ask("resource-pair", "register", "acme", erp["id"], CRM, *given)
    assert (made["from"], made["to"], made["scopes"]) == (RESOURCE, CRM, {"read": ["look", "write"]})
    assert made["authorization_details_types"] == {"note": "memo"}
    assert ask("resource-pair", "show", "acme", made["id"]) == made
    assert ask("resource-pair", "list", "acme")["items"] == [made]
    assert RESOURCE in run("resource-pair", "list", "acme").stdout
    changed = ask("resource-pair", "change", "acme", made["id"], "--scope", "read", "look")
    assert (changed["scopes"], changed["authorization_details_types"]) == ({"read": ["look"]}, {"note": "memo"})
    assert ask("resource-pair", "delete", "acme", made["id"]) == {"id": made["id"], "deleted": True}
    assert "there is no such pair" in run("resource-pair", "delete", "acme", made["id"], exit_code=5).stderr
    client = ask("client", "create", "acme", "--principal", "erp-bot", "--audience", RESOURCE)
    assert (client["principal_id"], client["audience"]) == (erp["principal_id"], RESOURCE)
    assert acme.get("/resource-pairs")["items"] == []


def test_a_resource_server_is_shown_changed_and_deleted_by_audience_or_id(
    ask: Callable[..., Any],
    run: Run,
    acme: Admin,
    provision: Provision,
) -> None:
    provision("acme", "agent", "erp-bot")
    made = ask("resource", "register", "acme", RESOURCE, "--scope", "read", "--restricting-type", "note", "read")
    assert ask("resource", "show", "acme", RESOURCE) == ask("resource", "show", "acme", made["id"]) == made
    more = ("--run-by", "erp-bot", "--scope", "read", "--scope", "pay", "--details-type", "memo")
    changed = ask("resource", "change", "acme", RESOURCE, *more, "--restricting-type", "note", "read")
    assert (changed["scopes"], changed["authorization_details_types"]) == (
        ["read", "pay"],
        ["memo", {"type": "note", "scopes": ["read"]}],
    )
    assert changed["principal_id"] is not None
    assert ask("resource", "change", "acme", made["id"], "--no-run-by")["principal_id"] is None
    assert ask("resource", "change", "acme", made["id"], "--run-by", "erp-bot")["principal_id"] is not None
    assert ask("resource", "change", "acme", made["id"], "--run-by-nobody")["principal_id"] is None
    both = ("--run-by", "erp-bot", "--no-run-by")
    assert "give either" in run("resource", "change", "acme", RESOURCE, *both, exit_code=2).stderr
    assert ask("resource", "delete", "acme", RESOURCE) == {"id": made["id"], "deleted": True}
    assert "there is no resource server" in run("resource", "show", "acme", RESOURCE, exit_code=5).stderr
    assert acme.get("/resources")["items"] == []


def test_a_delegation_is_changed_member_by_member(
    ask: Callable[..., Any],
    run: Run,
    acme: Admin,
    provision: Provision,
) -> None:
    provision("acme", "agent", "erp-bot")
    provision("acme", "user", "sam")
    ask("resource", "register", "acme", RESOURCE, "--scope", "read", "--scope", "pay")
    given = ("--actor", "erp-bot", "--subject", "sam", "--resource", RESOURCE, "--scope", "read")
    made = ask("delegation", "grant", "acme", *given, "--expires-at", "2999-01-01T00:00:00Z")
    more = ("--scope", "pay", "--max-depth", "3", "--max-lifetime-s", "60", "--no-expiry")
    changed = ask("delegation", "change", "acme", made["id"], *more)
    expected = {"scopes": ["pay"], "max_depth": 3, "max_lifetime_s": 60, "expires_at": None, "version": 2}
    assert changed == made | expected == acme.get(f"/delegations/{made['id']}")
    both = ("--expires-at", "2999-01-01T00:00:00Z", "--no-expiry")
    assert "give either" in run("delegation", "change", "acme", made["id"], *both, exit_code=2).stderr
    again = run("delegation", "change", "acme", made["id"], "--scope", "void", exit_code=7)
    assert "--scope" in again.stderr
