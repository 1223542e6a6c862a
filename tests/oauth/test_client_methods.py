"""A client authenticates by the one method that it is registered for, at every endpoint, and by one at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from joserfc.jwk import ECKey

from identity.actions.clients import NewClient, register_client, rotate_client_secret
from identity.model.client import AuthMethod
from tests.fixtures import ADMINISTRATOR, ASSERTION_TYPE, ERP, Client, Tenant, TwoTenants
from tests.oauth.test_client_authentication import ENDPOINTS, ask, assert_unauthenticated

KEY = ECKey.generate_key("P-256")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a request proves its client with: parameters of the form, a user and password for HTTP Basic, or both."""

    form: Mapping[str, Any]
    auth: tuple[str, str] | None = None

    def __or__(self, other: "Proof") -> "Proof":
        return Proof({**self.form, **other.form}, self.auth or other.auth)


def by_key(tenant: Tenant, client: Client) -> Proof:
    assertion = Client(client.client_id, client.key or KEY).assertion(tenant.issuer, tenant.now)
    return Proof({"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion})


def by_basic(_: Tenant, client: Client) -> Proof:
    return Proof({}, (client.client_id, client.secret or "x"))


def by_post(_: Tenant, client: Client) -> Proof:
    return Proof({"client_id": client.client_id, "client_secret": client.secret or "x"})


METHODS: dict[AuthMethod, Callable[[Tenant, Client], Proof]] = {
    AuthMethod.PRIVATE_KEY_JWT: by_key,
    AuthMethod.CLIENT_SECRET_BASIC: by_basic,
    AuthMethod.CLIENT_SECRET_POST: by_post,
}


def register(tenant: Tenant, method: AuthMethod, name: str = "ocr-bot") -> Client:
    """Register one more client of an agent, that authenticates by ``method``."""
    secret, jwks = f"idf_client_{uuid4().hex}", {"keys": [KEY.as_dict(private=False) | {"kid": "client-1"}]}
    asked = NewClient(
        client_name=None,
        principal_id=tenant.agent(name).id,
        audience=None,
        auth_method=method,
        jwks=None if method.has_secret else jwks,
        scopes=(),
        grant_types=None,
    )
    with tenant.tx() as tx:
        made = register_client(tx, asked, new_secret=secret, caller=ADMINISTRATOR, now=tenant.now)
    return Client(made.client_id, *((None, secret) if method.has_secret else (KEY, None)))


def send(tenant: Tenant, endpoint: str, proof: Proof) -> httpx2.Response:
    """Ask with what proves the client; a refusal is an event of its own."""
    tenant.runtime.refusals.kept.clear()
    return ask(tenant, endpoint, auth=proof.auth, **proof.form)


@pytest.mark.rfc("6749", "2.3.1")
@pytest.mark.parametrize("registered", METHODS)
def test_every_endpoint_takes_the_method_that_a_client_is_registered_for_and_no_other(
    acme: Tenant, registered: AuthMethod
) -> None:
    client = register(acme, registered)
    for endpoint in ENDPOINTS:
        for method, prove in METHODS.items():
            answer = send(acme, endpoint, prove(acme, client))
            if method is registered:
                assert answer.status_code == 200, (endpoint, method, answer.text)
            else:
                is_basic = method is AuthMethod.CLIENT_SECRET_BASIC
                assert_unauthenticated(acme, answer, "client_auth_method", by_basic=is_basic)


TWO = [(first, second) for first, second in combinations(METHODS, 2)]


@pytest.mark.rfc("6749", "2.3")
@pytest.mark.parametrize("registered", METHODS)
@pytest.mark.parametrize("methods", [*TWO, tuple(METHODS)], ids=" and ".join)
def test_two_methods_in_one_request_are_refused_though_each_would_do(
    acme: Tenant, registered: AuthMethod, methods: tuple[AuthMethod, ...]
) -> None:
    client, proof = register(acme, registered), Proof({})
    for method in methods:
        proof = proof | METHODS[method](acme, client)
    for endpoint in ENDPOINTS:
        assert_two_credentials(acme, send(acme, endpoint, proof))


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "basic Og==", "BASIC /////w=="])
def test_a_basic_header_that_holds_nothing_is_a_method_all_the_same(acme: Tenant, header: str) -> None:
    client = register(acme, AuthMethod.CLIENT_SECRET_POST)
    form = {"grant_type": "client_credentials", **by_post(acme, client).form}
    answer = acme.http.post("/t/acme/oauth/token", data=form, headers={"Authorization": header})
    assert_two_credentials(acme, answer)


def assert_two_credentials(tenant: Tenant, answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    event = tenant.last_event()
    assert (event.event.type, event.event.reason, event.caller_kind) == (
        "oauth.refused", "two_credentials", "anonymous",
    )  # fmt: skip


def test_a_client_that_posts_its_secret_trades_introspects_and_revokes(acme: Tenant) -> None:
    client = register(acme, AuthMethod.CLIENT_SECRET_POST)
    proof = by_post(acme, client).form
    id_token = {"subject_token": acme.id_token(sub="ext-sam"), "resource": ERP}
    id_token["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token"
    trade = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"} | id_token
    issued = acme.http.post("/t/acme/oauth/token", data={**proof, **trade})
    assert issued.status_code == 200, issued.text
    presented = {**proof, "token": issued.json()["access_token"]}
    assert acme.http.post("/t/acme/oauth/introspect", data=presented).json()["active"] is True
    assert acme.http.post("/t/acme/oauth/revoke", data=presented).status_code == 200
    assert acme.http.post("/t/acme/oauth/introspect", data=presented).json() == {"active": False}


@pytest.mark.parametrize("secret", ["wrong", "é", "\u0661", "s" * 4_000, "%00", "a b", "+", "idf_client_"])
def test_a_wrong_secret_of_any_characters_proves_nothing(acme: Tenant, secret: str) -> None:
    client = register(acme, AuthMethod.CLIENT_SECRET_POST)
    for sent in (secret, f"{client.secret} ", f"{client.secret}".upper()):
        answer = ask(acme, client_id=client.client_id, client_secret=sent)
        assert_unauthenticated(acme, answer, "client_secret")
        acme.runtime.refusals.kept.clear()


@pytest.mark.parametrize("client_id", ["nobody", "' OR 1=1 --", "é", "a\nb", "x" * 4_000])
def test_an_unknown_client_gets_the_answer_of_a_wrong_secret(acme: Tenant, client_id: str) -> None:
    answer = ask(acme, client_id=client_id, client_secret="x")
    assert_unauthenticated(acme, answer, "client_unknown")


@pytest.mark.parametrize("form", [{}, {"client_id": ""}])
def test_a_secret_without_a_client_id_is_told_so(read_only: Tenant, form: dict[str, str]) -> None:
    assert_unauthenticated(read_only, ask(read_only, client_secret="x", **form), "client_id_missing")


def test_an_empty_secret_is_none(read_only: Tenant) -> None:
    bot = read_only.agent("ocr-bot")
    assert ask(read_only, auth=(bot.client_id, bot.secret), client_secret="").status_code == 200
    assert_unauthenticated(read_only, ask(read_only, client_id=bot.client_id, client_secret=""), "credential_missing")


def test_the_secret_is_good_in_its_own_tenant_alone(two_tenants: TwoTenants) -> None:
    client = register(two_tenants.acme, AuthMethod.CLIENT_SECRET_POST)
    there = ask(two_tenants.rival, client_id=client.client_id, client_secret=client.secret)
    assert_unauthenticated(two_tenants.rival, there, "client_unknown")


def test_a_secret_that_was_replaced_is_refused_at_once(acme: Tenant) -> None:
    client = register(acme, AuthMethod.CLIENT_SECRET_POST)
    with acme.tx() as tx:
        rotate_client_secret(tx, client.client_id, new_secret="the-new-one", caller=ADMINISTRATOR, now=acme.now)
    assert_unauthenticated(acme, ask(acme, client_id=client.client_id, client_secret=client.secret), "client_secret")
    assert ask(acme, client_id=client.client_id, client_secret="the-new-one").status_code == 200


@pytest.mark.parametrize("client_id", ["{secret}", "{client_id}"])
def test_no_event_holds_a_secret_that_was_posted(acme: Tenant, client_id: str) -> None:
    client = register(acme, AuthMethod.CLIENT_SECRET_POST)
    named = client_id.format(secret="hunter2-hunter2", client_id=client.client_id)
    assert ask(acme, client_id=named, client_secret="hunter2-hunter2").status_code == 401
    [refused] = acme.events(type="oauth.refused")
    assert "hunter2" not in repr(refused)
    claimed = {} if client_id == "{secret}" else {"claimed_client_id": client.client_id}
    assert {name: value for name, value in refused.event.detail.items() if name.startswith("claimed")} == claimed


@pytest.mark.parametrize("method", METHODS)
def test_an_earlier_program_reads_each_client_as_one_of_a_method_that_it_knows(
    acme: Tenant, method: AuthMethod
) -> None:
    client = register(acme, method)
    [row] = acme.sql("SELECT token_endpoint_auth_method FROM clients WHERE tenant_id = :tenant AND client_id = :id",
                     id=client.client_id)  # fmt: skip
    assert row[0] == ("client_secret_basic" if method.has_secret else "private_key_jwt")
