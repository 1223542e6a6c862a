"""The commands of resource servers and their pairs, over HTTP against a running server."""

from collections.abc import Callable
from typing import Any

from tests.admin.conftest import RESOURCE, Admin, Provision
from tests.admin.test_commands import Run, ask, base_url, run

__all__ = ["ask", "base_url", "run"]  # fixtures

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
    assert ask("resource-pair", "delete", "acme", made["id"]) == {"id": made["id"], "deleted": True}
    assert "there is no such pair" in run("resource-pair", "delete", "acme", made["id"], exit_code=5).stderr
    client = ask("client", "create", "acme", "--principal", "erp-bot", "--audience", RESOURCE)
    assert (client["principal_id"], client["audience"]) == (erp["principal_id"], RESOURCE)
    assert acme.get("/resource-pairs")["items"] == []
