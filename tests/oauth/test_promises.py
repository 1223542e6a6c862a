"""Promises of the design as somebody outside sees them: over HTTP, and from one process to another."""

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy.exc import DataError

from config.app import create_app
from config.settings import load_settings
from identity.model.errors import InvalidRequest
from identity.model.lifecycle import Transition
from tests.actions.sources import reconcile_whole
from tests.fixtures import (
    ADMIN_TOKEN,
    ADMINISTRATOR,
    ERP,
    TYPE,
    Tenant,
    TwoTenants,
    access_token,
    claims_in,
    directory_token,
    employ,
    let_act,
    make_runtime,
)
from tests.oauth.conftest import SEAL

ROOT = Path(__file__).parent.parent.parent
USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "eve", "externalId": "ext-eve",
        "active": True}  # fmt: skip
OFF = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
       "Operations": [{"op": "replace", "path": "active", "value": False}]}  # fmt: skip


def scim(tenant: Tenant, method: str, path: str, body: object = None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {directory_token(tenant.slug)}", "Content-Type": "application/scim+json"}
    content = None if body is None else json.dumps(body)
    return tenant.http.request(method, f"/t/{tenant.slug}/scim/v2{path}", content=content, headers=headers)


def by_patch(tenant: Tenant, user_id: str) -> httpx2.Response:
    return scim(tenant, "PATCH", f"/Users/{user_id}", OFF)


def by_delete(tenant: Tenant, user_id: str) -> httpx2.Response:
    return scim(tenant, "DELETE", f"/Users/{user_id}")


def by_administrator(tenant: Tenant, user_id: str) -> httpx2.Response:
    url = f"/admin/v1/tenants/{tenant.slug}/principals/{user_id}/deprovision"
    return tenant.http.post(url, json={"reason": "left"}, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})


@pytest.mark.promise(1)
@pytest.mark.parametrize("deprovision", [by_patch, by_delete, by_administrator])
def test_after_the_2xx_of_a_deprovision_nothing_is_accepted_or_issued(
    acme: Tenant, deprovision: Callable[[Tenant, str], httpx2.Response]
) -> None:
    user_id = scim(acme, "POST", "/Users", USER).json()["id"]
    with acme.tx() as tx:
        for name in ("invoice-bot", "ocr-bot"):
            let_act(tx, acme.agent(name).id, None, subject_id=UUID(user_id))
    first = acme.task_token(person="eve")
    second = acme.task_token("ocr-bot", first)
    assert acme.is_live(second)
    assert 200 <= deprovision(acme, user_id).status_code < 300
    assert not acme.is_live(first)
    assert not acme.is_live(second)
    for refused in (acme.exchange("invoice-bot", person="eve"), acme.exchange("ocr-bot", first)):
        assert refused.status_code == 400
    reconcile_whole(acme, UUID(user_id), ADMINISTRATOR)
    assert "task.cancelled" in {recorded.event.type for recorded in acme.events()}


@pytest.mark.promise(1)
@pytest.mark.promise(2)
def test_what_one_process_ends_another_refuses_at_once(two_tenants: TwoTenants) -> None:
    """Two applications with caches of their own on one database, and no broker between them."""
    acme, url = two_tenants.acme, two_tenants.runtime.engine.url.render_as_string(hide_password=False)
    other = make_runtime(url, SEAL)
    there = create_app(load_settings(database_url=url, broker_url="redis://127.0.0.1:1/0"), other).test_client()
    erp = acme.seeded.erp

    def told_there(token: str) -> object:
        return there.post(
            "/t/acme/oauth/introspect", data={"token": token}, auth=(erp.client_id, erp.secret or "")
        ).json

    token, kept = acme.task_token(), acme.task_token(person="dana")
    assert told_there(token) == {"active": True, "token_type": "Bearer"} | claims_in(token)
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    assert told_there(token) == {"active": False}
    assert acme.post("revoke", acme.agent(), token=kept).status_code == 200
    assert told_there(kept) == {"active": False}
    bot = acme.agent("ocr-bot")
    acme.befall(bot.id, Transition.SUSPEND)
    form = {"grant_type": "client_credentials"}
    assert there.post("/t/acme/oauth/token", data=form, auth=(bot.client_id, bot.secret or "")).status_code == 401
    other.engine.dispose()


@pytest.mark.promise(5)
def test_an_id_is_for_ever_and_no_name_or_external_id_is_one(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    claims = claims_in(acme.task_token())
    assert UUID(claims["sub"]) == acme.seeded.sam
    for name in ("sub", "client_id", "jti", "txn"):
        assert UUID(claims[name]).version == 7
    for pretended in (str(acme.seeded.sam), "sam", "sam@example.com"):
        token = acme.id_token(sub=pretended, email="sam@example.com", preferred_username="sam")
        answer = acme.exchange("invoice-bot", token, subject_token_type=f"{TYPE}id_token", resource=ERP)
        assert answer.json()["error"] == "invalid_request"
        assert acme.last_event().event.reason == "subject_unknown"


CHILD = """
    import sys
    from dataclasses import replace
    from werkzeug.serving import make_server
    from config.app import create_app
    from config.settings import load_settings
    from tests.oauth.conftest import SEAL
    from identity.model.rate import Rate
    from tests.fixtures import make_runtime

    runtime = replace(make_runtime(sys.argv[1], SEAL), scim_rate=Rate(per_s=1e6, burst=1e6))  # its clock stands still
    server = make_server("127.0.0.1", 0, create_app(load_settings(database_url=sys.argv[1]), runtime), threaded=True)
    print(server.port, flush=True)
    server.serve_forever()
"""


@contextmanager
def another_process(two_tenants: TwoTenants) -> Iterator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """The application in a process of its own, on the same database."""
    url = two_tenants.runtime.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", textwrap.dedent(CHILD), url]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            base_url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            with httpx2.Client(base_url=base_url, trust_env=False, timeout=20) as http:
                yield process, http
        finally:
            process.kill()


@pytest.mark.promise(6)
def test_what_was_answered_survives_the_death_of_who_answered(two_tenants: TwoTenants) -> None:
    with another_process(two_tenants) as (process, http):
        there = Tenant(two_tenants.acme.seeded, two_tenants.runtime, http)
        revoked, kept = there.task_token(), there.task_token()
        assert there.post("revoke", there.agent(), token=revoked).status_code == 200
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert two_tenants.acme.is_live(kept)
    assert not two_tenants.acme.is_live(revoked)
    told = [recorded.event.type for recorded in two_tenants.acme.events() if recorded.event.type.startswith("token.")]
    assert told == ["token.issued", "token.issued", "token.revoked"]


@pytest.mark.promise(9)
def test_each_kind_of_token_serves_at_one_place_only(acme: Tenant) -> None:
    """A matrix of every kind of JWT and every consumer: only the diagonal accepts (RFC 8725 §3.12)."""
    signs, knows = acme.agent("invoice-bot"), acme.agent("ocr-bot")
    subject, own = {"subject_token_type": f"{TYPE}id_token", "resource": ERP}, {"grant_type": "client_credentials"}
    proof = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    consumers: dict[str, Callable[[str], bool]] = {
        "ID token": lambda token: acme.exchange(knows, token, **subject).status_code == 200,
        "task token": lambda token: acme.exchange(knows, token).status_code == 200,
        "own token": lambda token: acme.exchange(
            knows, actor_token=token, actor_token_type=f"{TYPE}access_token"
        ).status_code == 200,
        "assertion": lambda token: acme.post("token", None, client_assertion=token, **proof, **own).status_code == 200,
    }  # fmt: skip
    for consumer, accepts in consumers.items():
        kinds = {
            "ID token": acme.id_token(),
            "task token": acme.task_token(),
            "own token": acme.own_token("ocr-bot"),
            "assertion": signs.assertion(acme.issuer, acme.now),
            "logout token": acme.seeded.upstream.sign(acme.now, header={"typ": "logout+jwt"}),
        }
        assert {kind for kind, token in kinds.items() if accepts(token)} == {consumer}


@pytest.mark.parametrize("change", ["truncated", "alphabet", "padding", "unsigned"])
def test_a_token_is_compared_whole(acme: Tenant, change: str) -> None:
    head, payload, signature = acme.task_token().split(".")
    none = base64.urlsafe_b64encode(b'{"typ":"at+jwt","alg":"none"}').rstrip(b"=").decode()
    changed = {
        "truncated": f"{head}.{payload}.{signature[:-4]}",
        "alphabet": f"{head}.{payload}.{signature.translate(str.maketrans('-_', '+/'))}+",
        "padding": f"{head}.{payload}.{signature}==",
        "unsigned": f"{none}.{payload}.",
    }[change]
    assert not acme.is_live(changed)
    assert acme.exchange("ocr-bot", changed).json()["error"] == "invalid_request"


def test_a_token_without_a_scope_says_none_rather_than_an_empty_one(acme: Tenant) -> None:
    with acme.tx() as tx:
        bot = employ(tx, "details-bot", acme.seeded.dana)
        let_act(tx, bot.id, acme.seeded.finance, scopes=())
    answer = acme.exchange(bot)
    assert "scope" not in answer.json()
    assert answer.json()["authorization_details"]
    assert "scope" not in claims_in(access_token(answer))
    assert acme.is_live(access_token(answer))


def test_an_error_of_the_database_tells_none_of_the_values(acme: Tenant) -> None:
    canary = uuid4().hex
    with pytest.raises(InvalidRequest) as caught:
        acme.sql("SELECT 1 / 0 WHERE :secret <> ''", secret=canary)
    assert isinstance(caught.value.__cause__, DataError)
    assert canary not in f"{caught.value} {caught.value.__cause__}"
