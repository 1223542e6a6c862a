"""The command ``identity`` over HTTP, against a running server."""

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.showing import cell
from tests.admin.conftest import RESOURCE, Admin, Provision, Run


def test_from_nothing_to_an_agent_that_may_act(ask: Callable[..., Any], provision: Provision, tmp_path: Path) -> None:
    assert ask("tenant", "create", "acme", "--name", "Acme")["issuer"] == "https://identity.example/t/acme"
    connection = ask("connection", "create", "acme", "--kind", "scim", "--name", "entra", "--dialect", "entra")
    assert connection["token"].startswith("idf_scim_")
    bot, sam = provision("acme", "agent", "invoice-bot"), provision("acme", "user", "sam@acme.example")
    provision("acme", "group", "Finance")
    ask("resource", "register", "acme", RESOURCE, "--scope", "invoices.read", "--details-type", "invoice")
    restricting = ("--restricting-type", "order", "pay", "--restricting-type", "order", "read", "--details-type", "x")
    crm = ask("resource", "register", "acme", f"{RESOURCE}/crm", "--scope", "read", "--scope", "pay", *restricting)
    assert crm["authorization_details_types"] == ["x", {"type": "order", "scopes": ["pay", "read"]}]
    file = tmp_path / "bot.jwk"
    client = ask("client", "create", "acme", "--principal", "invoice-bot", "--generate-key", str(file))
    private = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (client["principal_id"], "d" in private, "client_secret" in client) == (bot, True, False)
    [registered] = client["jwks"]["keys"]
    assert registered == {name: value for name, value in private.items() if name != "d"}
    party = ("--actor", "invoice-bot", "--resource", RESOURCE, "--scope", "invoices.read")
    granted = ask("delegation", "grant", "acme", *party, "--subject", "SAM@acme.example", "--max-lifetime-s", "60")
    assert (granted["actor_id"], granted["subject_id"], granted["max_lifetime_s"]) == (bot, sam, 60)
    ask("delegation", "grant", "acme", *party, "--group", "finance", "--details", '[{"type": "invoice"}]')
    assert len(ask("delegation", "list", "acme", "--subject", sam)["items"]) == 1
    assert ask("delegation", "end", "acme", granted["id"]) == {"id": granted["id"], "ended": True}
    assert ask("delegation", "show", "acme", granted["id"])["ended_reason"] == "ended_by_administrator"
    assert [one["name"] for one in ask("agent", "list", "acme")["items"]] == ["invoice-bot"]
    assert ask("agent", "deprovision", "acme", "invoice-bot", "--reason", "odd")["state"] == "deprovisioned"
    assert ask("client", "show", "acme", client["client_id"])["revoked_at"] is not None
    told = ask("audit", "list", "acme", "--principal", "invoice-bot", "--type", "agent.deprovisioned")["items"]
    assert [event["reason"] for event in told] == ["odd"]


def test_connections_clients_and_keys_are_changed_rotated_and_ended(
    ask: Callable[..., Any], acme: Admin, provision: Provision, resource: str, tmp_path: Path
) -> None:
    made = ask("connection", "create", "acme", "--kind", "scim", "--name", "entra")
    assert ask("connection", "rotate-token", "acme", made["id"], "--overlap-s", "60")["token"] != made["token"]
    assert ask("connection", "change", "acme", made["id"], "--dialect", "okta")["dialect"] == "okta"
    assert ask("connection", "log", "acme", made["id"], "--outcome", "refused")["items"] == []
    assert ask("connection", "end", "acme", made["id"])["ended"] is True
    assert ask("connection", "show", "acme", made["id"])["ended_at"] is not None
    jwks = tmp_path / "keys.json"
    jwks.write_text(json.dumps({"keys": [key["public_jwk"] for key in ask("key", "list", "acme")["items"]]}))
    upstream = ("--issuer", "https://login.example", "--jwks", f"@{jwks}", "--audience", "a", "--audience", "b")
    oidc = ask("connection", "create", "acme", "--kind", "oidc", "--name", "login", *upstream)
    assert oidc["audiences"] == ["a", "b"]
    kinds = ("--token-kind", "id_token", "--token-kind", "jwt_access_token")
    limits = ("--max-age-s", "600", "--max-lifetime-s", "3600", "--upstream-act", "keep")
    told = ask("connection", "change", "acme", oidc["id"], *kinds, *limits)
    assert (told["token_kinds"], told["upstream_act"]) == (["id_token", "jwt_access_token"], "keep")
    assert (told["max_age_s"], told["max_lifetime_s"]) == (600, 3_600)
    client = ask("client", "create", "acme", "--audience", resource)
    assert ask("client", "rotate-secret", "acme", client["client_id"])["client_secret"] != client["client_secret"]
    post = ask("client", "create", "acme", "--audience", resource, "--auth-method", "client_secret_post")
    assert (post["token_endpoint_auth_method"], "client_secret" in post) == ("client_secret_post", True)
    assert ask("client", "revoke", "acme", post["client_id"])["revoked"] is True
    assert ask("client", "revoke", "acme", client["client_id"])["revoked"] is True
    assert len(ask("client", "list", "acme")["items"]) == 2
    assert ask("key", "rotate", "acme")["is_signing"] is False
    assert ask("task", "list", "acme") == {"items": [], "next_cursor": None}
    account = provision("acme", "service_account", "batch")
    assert ask("agent", "suspend", "acme", "batch", "--kind", "service_account")["id"] == account
    assert ask("agent", "show", "acme", account)["state"] == "suspended"
    assert ask("agent", "reactivate", "acme", account, "--kind", "service_account")["state"] == "active"
    assert ask("agent", "protect", "acme", account, "--reason", "break glass")["is_protected"] is True
    protected = ask("agent", "list", "acme", "--protected", "--kind", "service_account")["items"]
    assert [one["id"] for one in protected] == [account]
    assert ask("agent", "unprotect", "acme", account)["is_protected"] is False


@pytest.mark.parametrize(
    ("credentials", "is_back"), [((), True), (("--credentials", "keep"), True), (("--credentials", "revoke"), False)]
)
def test_a_suspension_keeps_or_revokes_and_a_reactivation_says_what_lives_again(
    run: Run, ask: Callable[..., Any], acme: Admin, provision: Provision, resource: str,
    credentials: tuple[str, ...], is_back: bool,
) -> None:  # fmt: skip
    bot, people = provision("acme", "agent", "bot"), [provision("acme", "user") for _ in range(2)]
    made = ask("client", "create", "acme", "--principal", "bot")["client_id"]
    for sam in people:
        grant = {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": ["invoices.read"]}
        acme.post("/delegations", grant)
    assert ask("agent", "suspend", "acme", "bot", *credentials)["state"] == "suspended"
    said = run("agent", "reactivate", "acme", "bot").stdout
    told = f"1 client ({made}), 2 delegations" if is_back else "no clients, no delegations"
    assert re.search(rf"^restored +{re.escape(told)}$", said, re.MULTILINE), said
    ask("user", "suspend", "acme", people[0], *credentials)
    answer = ask("user", "reactivate", "acme", people[0])
    assert answer["restored"] == {"clients": [], "delegations": int(is_back), "has_more_delegations": False}


@pytest.mark.parametrize("verb", ["deprovision", "reactivate"])
def test_only_a_suspension_asks_what_becomes_of_credentials(run: Run, acme: Admin, verb: str) -> None:
    said = run("agent", verb, "acme", "bot", "--credentials", "keep", exit_code=2).stderr
    assert "--credentials" in said


def test_a_list_is_read_over_its_pages_and_says_where_the_rest_begins(
    run: Run, ask: Callable[..., Any], acme: Admin, provision: Provision
) -> None:
    names = [provision("acme", "agent") for _ in range(5)]
    first = ask("agent", "list", "acme", "--limit", "3")
    rest = ask("agent", "list", "acme", "--after", first["next_cursor"])
    assert [one["id"] for one in first["items"] + rest["items"]] == names
    shown = run("agent", "list", "acme", "--limit", "3").stdout
    assert f"There are more: --after {first['next_cursor']}" in shown
    assert all(name in shown for name in names[:3])
    assert run("task", "list", "acme").stdout == "No results.\n"


def test_a_person_is_shown_words_and_a_secret_with_a_warning(run: Run, acme: Admin) -> None:
    shown = run("connection", "create", "acme", "--kind", "scim", "--name", "entra").stdout
    assert "scim_base_url" in shown
    assert "Save this token now. It will not be shown again." in shown


def test_a_name_can_do_nothing_to_a_terminal() -> None:
    assert cell("a\x1b[2Jb\u202e") == "a\ufffd[2Jb\ufffd"


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("tenant", "show", "nobody"), 5, "there is no such tenant"),
        (("tenant", "create", "acme"), 6, "slug_taken"),
        (("tenant", "create", "ACME"), 7, "SLUG"),
        (("tenant", "show", "a/b"), 2, "cannot be a name or an id"),
        (("agent", "show", "acme", "nobody"), 5, "there is no agent called 'nobody' in acme"),
        (("agent", "suspend", "acme", "bot", "--credentials", "drop"), 2, "'drop' is not one of 'keep', 'revoke'"),
        (("client", "create", "acme"), 2, "give --principal, --audience or both of them"),
        (("client", "create", "acme", "--principal", "x", "--jwks", "@nowhere"), 2, "cannot be read"),
        (("client", "create", "acme", "--principal", "x", "--jwks", "{"), 2, "that is not JSON"),
        (("client", "create", "acme", "--audience", "x", "--auth-method", "private_key_jwt"), 2, "comes with a key"),
        (
            ("client", "create", "acme", "--audience", "x", "--jwks", "{}", "--auth-method", "client_secret_post"),
            2,
            "comes with a key",
        ),
        (("client", "create", "acme", "--audience", "x", "--auth-method", "none"), 2, "client_secret_post"),
        (("delegation", "grant", "acme", "--actor", "x", "--resource", "y"), 2, "give either --subject or --group"),
        (("connection", "create", "acme", "--kind", "oidc", "--name", "x"), 7, "--issuer is required"),
    ],
)
def test_a_refusal_says_what_to_do_and_has_its_exit_code(
    run: Run, acme: Admin, words: tuple[str, ...], exit_code: int, said: str
) -> None:
    assert said in run(*words, exit_code=exit_code).stderr


@pytest.mark.parametrize(
    ("changed", "exit_code", "said"),
    [
        ({"IDENTITY_ADMIN_TOKEN": ""}, 4, "there is no token for http://127.0.0.1"),
        ({"IDENTITY_ADMIN_TOKEN": "wrong"}, 4, "The token came from IDENTITY_ADMIN_TOKEN."),
        ({"IDENTITY_ADMIN_TOKEN": "wröng\n"}, 4, "the token from IDENTITY_ADMIN_TOKEN contains invalid characters"),
        ({"IDENTITY_URL": "http://127.0.0.1:9"}, 3, "does not answer"),
        ({"IDENTITY_URL": "http://id.example"}, 1, "must be https://"),
        ({"IDENTITY_URL": "id.example"}, 1, "IDENTITY_URL has no scheme: write https://id.example"),
        ({"IDENTITY_URL": "ftp://id.example"}, 1, "must be the installation's https:// URL"),
        ({"IDENTITY_URL": "https://"}, 1, "must be the installation's https:// URL"),
        ({"IDENTITY_URL": "https://id.example:port"}, 1, "must be the installation's https:// URL"),
        ({"IDENTITY_URL": "https://id.example?x=1"}, 1, "must be the installation's https:// URL"),
        ({"IDENTITY_URL": "https://me:secret@id.example"}, 1, "must not hold a user name or password"),
    ],
)
def test_a_wrong_environment_is_explained(
    run: Run, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], exit_code: int, said: str
) -> None:
    monkeypatch.setattr("cli.remote.PAUSE_S", 0.0)
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    assert said in run("tenant", "list", exit_code=exit_code).stderr


def test_a_key_is_never_written_over_another_and_not_left_behind_when_it_is_refused(
    run: Run, acme: Admin, provision: Provision, tmp_path: Path
) -> None:
    bot, file = provision("acme", "agent", "bot"), tmp_path / "bot.jwk"
    file.write_text("in use")
    create = ("client", "create", "acme", "--principal", "bot", "--generate-key", str(file))
    assert "File exists" in run(*create, exit_code=1).stderr
    assert file.read_text() == "in use"
    file.unlink()
    acme.post(f"/principals/{bot}/suspend", {}, 200)
    run(*create, exit_code=6)
    assert not file.exists()


def test_a_client_of_a_connection_is_made_with_its_key(ask: Callable[..., Any], acme: Admin, tmp_path: Path) -> None:
    people, file = acme.post("/connections", {"kind": "scim", "name": "people", "dialect": "rfc"})["id"], tmp_path / "k"
    made = ask("client", "create", "acme", "--connection", people, "--generate-key", str(file))
    assert (made["connection_id"], made["token_endpoint_auth_method"]) == (people, "private_key_jwt")
    assert file.exists()
    assert ask("client", "list", "acme")["items"][0]["connection_id"] == people
