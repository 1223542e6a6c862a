"""The tenant `acme` that `identity dev --story` makes: whole after any interruption, and then its users' alone."""

import base64
import json
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from cli.main import main
from dev.access import Access, forget_access, write_access
from dev.demo.api import EXCHANGE, TOKEN_TYPES, Api, StepError
from dev.example_tenant import (
    NEXT_RESOURCE,
    RESOURCE,
    ExampleTenant,
    TenantTakenError,
    _Making,
    make_example,
    read_example,
    sam_state,
)
from dev.installation import BrokenFolderError, lock_folder
from dev.issuer import DevelopmentIssuer, open_issuer
from identity.edge.runtime import Runtime, utc_now
from identity.model.connection import DEVELOPMENT_ISSUER
from tests.admin.conftest import ADMIN_TOKEN, Admin, Provision

FINE, NOT_FOUND, CONFLICT, UNREACHABLE = 0, 5, 6, 3


@pytest.fixture
def base_url(app: Flask, runtime: Runtime) -> Iterator[str]:
    """A server that allows what `identity dev` allows, by the clock of the development issuer's ID tokens."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    object.__setattr__(runtime, "allow_development_issuer", True)
    object.__setattr__(runtime, "external_url", url)
    object.__setattr__(runtime, "clock", utc_now)
    runtime.upstream_keys.allow_development = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield url
    server.shutdown()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.fixture
def issuer(folder: Path) -> DevelopmentIssuer:
    return open_issuer(folder)


@pytest.fixture
def example(folder: Path, base_url: str, issuer: DevelopmentIssuer) -> ExampleTenant:
    return make_example(folder, base_url, ADMIN_TOKEN, issuer)


def exchange(base_url: str, example: ExampleTenant, id_token: str, agent: str = "invoice-bot") -> httpx2.Response:
    form = {"grant_type": EXCHANGE, "subject_token": id_token, "subject_token_type": TOKEN_TYPES["id_token"]}
    wanted = {"resource": RESOURCE, "scope": "invoices.read"}
    return httpx2.post(f"{base_url}/t/acme/oauth/token", data=form | wanted, auth=example.clients[agent])


def go_on(base_url: str, example: ExampleTenant, token: str, service: str = "erp") -> httpx2.Response:
    """Exchange a token for the first service for one for the second."""
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": TOKEN_TYPES["access_token"]}
    return httpx2.post(
        f"{base_url}/t/acme/oauth/token", data=form | {"resource": NEXT_RESOURCE}, auth=example.clients[service]
    )


def is_alive(base_url: str, example: ExampleTenant, token: str, service: str = "erp") -> bool:
    url = f"{base_url}/t/acme/oauth/introspect"
    return bool(httpx2.post(url, data={"token": token}, auth=example.clients[service]).json()["active"])


def check_whole(base_url: str, example: ExampleTenant, issuer: DevelopmentIssuer) -> None:
    """Every secret that is kept works, both people and both agents are active, and the first service goes on."""
    assert example.is_whole
    for person in ("sam", "dana"):
        answer = exchange(base_url, example, issuer.id_token(f"acme-{person}", "acme-portal"))
        assert answer.status_code == 200, answer.text
        assert is_alive(base_url, example, answer.json()["access_token"])
        crossed = go_on(base_url, example, answer.json()["access_token"])
        assert crossed.status_code == 200, crossed.text
        assert crossed.json()["scope"] == "entries.read"
        assert is_alive(base_url, example, crossed.json()["access_token"], "ledger")
    assert exchange(base_url, example, issuer.id_token("acme-sam", "acme-portal"), "ocr-bot").status_code == 200
    users = httpx2.get(
        f"{base_url}/t/acme/scim/v2/Users", headers={"Authorization": f"Bearer {example.scim_token}"}
    ).json()
    assert users["totalResults"] == 2


def test_it_is_alive_and_nothing_is_there_twice(
    base_url: str, example: ExampleTenant, issuer: DevelopmentIssuer, platform: Admin
) -> None:
    check_whole(base_url, example, issuer)
    check_each_once(Admin(platform.http, "acme"), example)


@pytest.mark.promise(1)
def test_both_services_refuse_what_rests_on_somebody_who_has_left(
    base_url: str, example: ExampleTenant, issuer: DevelopmentIssuer, platform: Admin
) -> None:
    token = exchange(base_url, example, issuer.id_token("acme-sam", "acme-portal")).json()["access_token"]
    crossed = go_on(base_url, example, token).json()["access_token"]
    Admin(platform.http, "acme").post(f"/principals/{example.ids['sam']}/deprovision", status=200)
    assert not is_alive(base_url, example, token)
    assert not is_alive(base_url, example, crossed, "ledger")
    assert "(subject" in go_on(base_url, example, token).json()["error_description"]


@pytest.mark.parametrize("client", ["invoice-bot", "ocr-bot", "ledger"])
def test_the_service_that_a_token_is_for_goes_on_with_it_alone(
    base_url: str, example: ExampleTenant, issuer: DevelopmentIssuer, client: str
) -> None:
    token = exchange(base_url, example, issuer.id_token("acme-sam", "acme-portal")).json()["access_token"]
    answer = go_on(base_url, example, token, client)
    assert answer.status_code == 400
    assert answer.json()["error"] == ("unauthorized_client" if client == "ledger" else "invalid_target")


def check_each_once(acme: Admin, example: ExampleTenant) -> None:
    assert {one["name"]: one["state"] for one in acme.get("/principals")["items"]} == {
        "dana@acme.example": "active", "sam@acme.example": "active", "Finance": "active",
        "invoice-bot": "active", "ocr-bot": "active", "erp-bot": "active",
    }  # fmt: skip
    for bot in ("invoice-bot", "ocr-bot", "erp-bot"):
        [owner] = acme.get(f"/principals/{example.ids[bot]}")["owners"]
        assert owner["id"] == example.ids["dana"]
    resources = acme.get("/resources")["items"]
    assert {one["audience"]: (one["scopes"], one["principal_id"]) for one in resources} == {
        RESOURCE: (["invoices.read", "invoices.pay"], example.ids["erp-bot"]), NEXT_RESOURCE: (["entries.read"], None),
    }  # fmt: skip
    assert len(resources) == 2
    clients = sorted(one["client_name"] for one in acme.get("/clients")["items"])
    assert clients == ["erp", "invoice-bot", "ledger", "ocr-bot"]
    delegated = [
        (one["actor_id"], one["subject_group_id"], one["resource"]) for one in acme.get("/delegations")["items"]
    ]
    where = {"invoice-bot": RESOURCE, "ocr-bot": RESOURCE, "erp-bot": NEXT_RESOURCE}
    assert sorted(delegated) == sorted((example.ids[bot], example.ids["finance"], at) for bot, at in where.items())
    [pair] = acme.get("/resource-pairs")["items"]
    assert (pair["from"], pair["to"]) == (RESOURCE, NEXT_RESOURCE)
    connections = {one["kind"]: one for one in acme.get("/connections")["items"]}
    assert connections["oidc"]["issuer"] == DEVELOPMENT_ISSUER
    assert connections["oidc"]["provisioned_by"] == connections["scim"]["id"]


def lose_each_answer_once(monkeypatch: pytest.MonkeyPatch, *, is_sent: bool) -> list[str]:
    """Let the first try of every change end as a kill would: before it is sent, or after its answer was lost."""
    lost: list[str] = []
    call = Api.call

    def lossy(api: Api, method: str, path: str, body: Any = None, **params: str) -> Any:
        change = f"{path} {json.dumps(body, sort_keys=True)}"
        if method == "GET" or change in lost:
            return call(api, method, path, body, **params)
        lost.append(change)
        if is_sent:
            call(api, method, path, body, **params)
        raise httpx2.ReadError("killed")

    monkeypatch.setattr(Api, "call", lossy)
    return lost


@pytest.mark.parametrize("is_sent", [True, False])
def test_a_start_that_is_killed_at_any_step_is_completed_by_the_next(
    folder: Path,
    base_url: str,
    issuer: DevelopmentIssuer,
    monkeypatch: pytest.MonkeyPatch,
    platform: Admin,
    is_sent: bool,
) -> None:
    lost, made = lose_each_answer_once(monkeypatch, is_sent=is_sent), None
    while made is None:
        starts = len(lost)
        try:
            made = make_example(folder, base_url, ADMIN_TOKEN, issuer)
        except httpx2.ReadError:
            assert len(lost) == starts + 1, "each start gets one step further"
    assert len(lost) >= 19
    check_whole(base_url, made, issuer)
    check_each_once(Admin(platform.http, "acme"), made)


@pytest.mark.parametrize("is_kept", [True, False])
def test_what_an_earlier_version_has_begun_with_one_service_is_completed_with_two(
    folder: Path, base_url: str, issuer: DevelopmentIssuer, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    def begin(making: _Making) -> None:
        making._tenant()
        making._post("/resources", {"audience": RESOURCE, "scopes": ["invoices.read", "invoices.pay"]})
        making._client("erp", {"audience": RESOURCE})

    with monkeypatch.context() as earlier:
        earlier.setattr(_Making, "all", begin)
        begun = make_example(folder, base_url, ADMIN_TOKEN, issuer)
    if not is_kept:
        replace(begun, clients={}).keep(folder)
    check_whole(base_url, make_example(folder, base_url, ADMIN_TOKEN, issuer), issuer)


def test_a_tenant_that_is_whole_is_its_users_alone(
    folder: Path, base_url: str, issuer: DevelopmentIssuer, example: ExampleTenant, platform: Admin
) -> None:
    acme = Admin(platform.http, "acme")
    [first, *_] = acme.get("/delegations")["items"]
    acme.delete(f"/delegations/{first['id']}")
    events = len(acme.events())
    assert make_example(folder, base_url, ADMIN_TOKEN, issuer) == example
    assert len(acme.events()) == events


def test_a_tenant_acme_of_somebody_else_is_left_as_it_is(
    folder: Path, base_url: str, issuer: DevelopmentIssuer, acme: Admin
) -> None:
    events = len(acme.events())
    with pytest.raises(TenantTakenError):
        make_example(folder, base_url, ADMIN_TOKEN, issuer)
    assert read_example(folder) is None
    assert len(acme.events()) == events


def test_an_answer_that_was_not_expected_is_told(folder: Path, base_url: str, issuer: DevelopmentIssuer) -> None:
    with pytest.raises(StepError, match="look for the tenant: expected 200, got 401"):
        make_example(folder, base_url, "not-the-token-of-the-administrator", issuer)
    assert make_example(folder, base_url, ADMIN_TOKEN, issuer).is_whole


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_this_account_can_read_what_is_kept(folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        ExampleTenant(scim_token="secret").keep(folder)
        open_issuer(folder)
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes == dict.fromkeys(("example_tenant.json", "development_issuer.jwk", "development_issuer.jwks"), 0o600)


def test_what_is_kept_is_found_again(folder: Path) -> None:
    kept = ExampleTenant(True, {"sam": "id"}, "token", {"erp": ("id", "secret")})
    kept.keep(folder)
    assert read_example(folder) == kept
    jwks = open_issuer(folder).jwks
    assert jwks == open_issuer(folder).jwks == json.loads((folder / "development_issuer.jwks").read_text())
    assert "d" not in jwks["keys"][0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 1}', '{"clients": {"erp": 1}}', '{"clients": 1}'])
def test_a_file_that_was_damaged_is_named(folder: Path, text: str) -> None:
    (folder / "example_tenant.json").write_text(text)
    (folder / "development_issuer.jwk").write_text(text)
    for name, read in (("example_tenant.json", read_example), ("development_issuer.jwk", open_issuer)):
        with pytest.raises(BrokenFolderError, match=re.escape(str(folder / name))):
            read(folder)


def test_a_folder_that_has_lost_its_database_begins_anew(
    folder: Path, base_url: str, issuer: DevelopmentIssuer
) -> None:
    ExampleTenant(True, {"tenant": "another", "sam": "another"}, "another", {"erp": ("id", "secret")}).keep(folder)
    check_whole(base_url, make_example(folder, base_url, ADMIN_TOKEN, issuer), issuer)


def test_a_tenant_of_another_database_is_not_taken_for_ours(
    folder: Path, base_url: str, issuer: DevelopmentIssuer, acme: Admin
) -> None:
    kept = ExampleTenant(True, {"tenant": "another", "sam": "another"})
    kept.keep(folder)
    with pytest.raises(TenantTakenError):
        make_example(folder, base_url, ADMIN_TOKEN, issuer)
    assert read_example(folder) == kept


def test_sams_state_is_told_as_it_is(base_url: str, example: ExampleTenant, platform: Admin) -> None:
    assert sam_state(base_url, ADMIN_TOKEN, example) == "active"
    Admin(platform.http, "acme").post(f"/principals/{example.ids['sam']}/suspend", status=200)
    assert sam_state(base_url, ADMIN_TOKEN, example) == "suspended"
    bearer = {"Authorization": f"Bearer {example.scim_token}"}
    deleted = httpx2.delete(f"{base_url}/t/acme/scim/v2/Users/{example.ids['sam']}", headers=bearer)
    assert deleted.status_code == 204
    assert sam_state(base_url, ADMIN_TOKEN, example) == "deleted"


Run = Callable[..., Result]


@pytest.fixture
def id_token(folder: Path, base_url: str, example: ExampleTenant) -> Iterator[Run]:
    """Run ``identity dev id-token`` while an `identity dev` is ready with the folder."""
    lock = lock_folder(folder)
    write_access(folder, Access(base_url, ADMIN_TOKEN))

    def run(*words: str, exit_code: int = FINE) -> Result:
        environment = {"IDENTITY_ADMIN_TOKEN": None, "IDENTITY_URL": None}
        result = CliRunner().invoke(main, ["dev", "id-token", *words, "--data", str(folder)], env=environment)
        assert result.exit_code == exit_code, result.output
        assert "Traceback" not in result.output
        return result

    yield run
    os.close(lock)


@pytest.mark.parametrize("named", ["sam", "Sam", "sam@acme.example", "SAM@acme.example"])
def test_an_id_token_is_of_the_one_who_is_named(
    id_token: Run, base_url: str, example: ExampleTenant, named: str
) -> None:
    token = id_token(named).stdout.strip()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert (claims["iss"], claims["aud"], claims["sub"]) == (DEVELOPMENT_ISSUER, "acme-portal", "acme-sam")
    assert exchange(base_url, example, token).status_code == 200
    told = json.loads(id_token(named, "--json").stdout)
    assert (told["user"], told["issuer"], told["id_token"].count(".")) == ("sam@acme.example", DEVELOPMENT_ISSUER, 2)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("smm", "there is no user 'smm' in acme; did you mean sam@acme.example?"),
        ("dana@acme.exmaple", "did you mean dana@acme.example"),
        ("zzz", "there is no user 'zzz' in acme\n"),
        ("invoice-bot", "there is no user 'invoice-bot' in acme\n"),
    ],
)
def test_somebody_who_is_not_there_is_refused_with_what_may_be_meant(id_token: Run, named: str, words: str) -> None:
    assert words in id_token(named, exit_code=NOT_FOUND).stderr


def test_a_part_of_a_name_must_mean_one_user(id_token: Run, provision: Provision) -> None:
    provision("acme", "user", "sam@other.example")
    assert "sam@acme.example, sam@other.example" in id_token("sam", exit_code=CONFLICT).stderr
    refused = id_token("sam@other.example", exit_code=CONFLICT).stderr
    assert "sam@other.example has no externalId of the source" in refused


def test_another_tenant_is_told_how_to_trust_the_development_issuer(id_token: Run, rival: Admin, folder: Path) -> None:
    refused = id_token("sam", "--tenant", "rival", exit_code=NOT_FOUND).stderr
    assert "no connection of rival trusts the development issuer" in refused
    assert f"--issuer {DEVELOPMENT_ISSUER} --jwks @{folder / 'development_issuer.jwks'}" in refused
    assert "no such tenant" in id_token("sam", "--tenant", "nobody", exit_code=NOT_FOUND).stderr


def test_a_connection_that_matches_by_subject_is_told(
    id_token: Run, rival: Admin, issuer: DevelopmentIssuer, provision: Provision
) -> None:
    body = {"kind": "oidc", "name": "by-subject", "issuer": DEVELOPMENT_ISSUER, "jwks": issuer.jwks}
    rival.post("/connections", body | {"audiences": ["portal"]})
    assert "there is no user 'sam' in rival" in id_token("sam", "--tenant", "rival", exit_code=NOT_FOUND).stderr
    provision("rival", "user", "sam@rival.example")
    assert "matches people by subject" in id_token("sam", "--tenant", "rival", exit_code=CONFLICT).stderr


def test_without_an_identity_dev_there_is_no_id_token(id_token: Run, folder: Path) -> None:
    forget_access(folder)
    assert f"no `identity dev` is ready with {folder}" in id_token("sam", exit_code=UNREACHABLE).stderr


def test_a_person_who_has_left_signs_in_upstream_and_is_refused_here(
    id_token: Run, base_url: str, example: ExampleTenant
) -> None:
    """As a company's sign-in may lag behind; the refusal is ours."""
    alive = exchange(base_url, example, id_token("sam").stdout.strip()).json()["access_token"]
    body = {"Operations": [{"op": "replace", "path": "active", "value": False}]}
    bearer = {"Authorization": f"Bearer {example.scim_token}"}
    url = f"{base_url}/t/acme/scim/v2/Users/{example.ids['sam']}"
    patch = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], **body}
    assert httpx2.patch(url, json=patch, headers=bearer).status_code == 200
    assert not is_alive(base_url, example, alive)
    assert exchange(base_url, example, id_token("sam").stdout.strip()).status_code == 400
