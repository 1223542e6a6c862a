"""What opens the SCIM endpoint: a connection's own token, or a living access token of one of its clients, and nothing
else (RFC 6750, RFC 9068 §4, RFC 9728)."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from identity.actions.clients import revoke_client
from identity.actions.connections import end_connection
from identity.actions.issuance import ClientCall, Issuer, issue_token
from identity.actions.signing_keys import rotate_keys
from identity.edge.rate_limits import Buckets
from identity.model.cutoff import CutoffKind
from identity.model.rate import Rate
from identity.model.signing_key import activation_of_next
from identity.model.token import Issue, Party
from identity.store.facts import ClientLookup, client_credentials_facts_read
from identity.store.tokens import cutoff_set
from identity.store.transaction import transaction
from scim.bulk.tasks import perform
from tests.fixtures import ADMINISTRATOR, ASSERTION_TYPE, ERP, Tenant, TwoTenants, claims_in
from tests.oauth.provisioners import BULK, PATCH_OP, USER, Provisioner, provisioner
from tests.statement_counter import round_trips

METADATA = "https://identity.example/.well-known/oauth-protected-resource/t/acme/scim/v2"
CHALLENGE = f'Bearer realm="scim", {{}}resource_metadata="{METADATA}", scope="scim"'
INVALID = CHALLENGE.format('error="invalid_token", ')


def test_whom_a_client_provisions_the_connection_has_provisioned_and_the_trail_names_the_client(acme: Tenant) -> None:
    source, other = provisioner(acme), provisioner(acme, name="others")
    sam = source.create(source.token(), "sam@acme.example")
    assert sam.status_code == 201, sam.text
    created = acme.last_event()
    assert (created.event.type, created.caller_kind) == ("user.created", "connection")
    assert created.caller_id == str(source.connection_id)
    assert created.event.detail["client_id"] == source.client.client_id

    rename = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "displayName", "value": "Sam"}]}
    path = f"/Users/{sam.json()['id']}"
    assert source.ask(source.own_token, "PATCH", path, rename).status_code == 200  # both speak for one connection
    assert "client_id" not in acme.last_event().event.detail
    assert other.ask(other.token(), "PATCH", path, rename).status_code == 403
    [logged] = acme.sql("SELECT count(*) FROM provisioning_requests WHERE tenant_id = :tenant AND connection_id = :id",
                        id=source.connection_id)  # fmt: skip
    assert logged[0] == 2


# --- the challenge ---


@pytest.mark.rfc("6750", "3")
@pytest.mark.rfc("9728", "5.1")
@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, CHALLENGE.format("")),  # who sent nothing is told of no error
        ("Basic YTpi", CHALLENGE.format("")),
        ("Bearer", CHALLENGE.format("")),
        ("Bearer unknown", INVALID),
        ("Bearer a.b.c", INVALID),
        ("Bearer .", INVALID),
    ],
)
def test_who_is_not_let_in_is_told_where_tokens_are_had(
    acme: Tenant, authorization: str | None, challenge: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = acme.http.get("/t/acme/scim/v2/Users", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)
    assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


@pytest.mark.rfc("9728", "2")
@pytest.mark.rfc("9728", "3")
def test_the_endpoint_tells_anybody_which_issuer_gives_tokens_for_it(two_tenants: TwoTenants) -> None:
    for tenant in (two_tenants.acme, two_tenants.rival):
        answer = two_tenants.http.get(f"/.well-known/oauth-protected-resource/t/{tenant.slug}/scim/v2")
        assert answer.headers["Cache-Control"] == "public, max-age=3600"
        assert answer.json() == {
            "resource": f"{tenant.issuer}/scim/v2",
            "authorization_servers": [tenant.issuer],
            "scopes_supported": ["scim"],
            "bearer_methods_supported": ["header"],
            "resource_name": f"SCIM endpoint of {tenant.slug}",
        }
    assert two_tenants.http.get("/.well-known/oauth-protected-resource/t/nobody/scim/v2").status_code == 404


@pytest.mark.rfc("9728", "4")
def test_the_issuer_names_the_endpoint_and_its_scope(two_tenants: TwoTenants) -> None:
    for tenant in (two_tenants.acme, two_tenants.rival):
        found = two_tenants.http.get(f"/.well-known/oauth-authorization-server/t/{tenant.slug}").json()
        assert found["protected_resources"] == [f"{tenant.issuer}/scim/v2"]
        assert found["scopes_supported"] == ["scim"]


@pytest.mark.rfc("7643", "5")
def test_the_configuration_names_both_ways(acme: Tenant) -> None:
    source = provisioner(acme)
    schemes = source.ask(source.token(), path="/ServiceProviderConfig").json()["authenticationSchemes"]
    assert [(one["type"], one["primary"]) for one in schemes] == [("oauthbearertoken", True), ("oauth2", False)]
    assert schemes[1]["documentationUri"] == METADATA
    assert all(one["specUri"].startswith("https://www.rfc-editor.org/info/rfc") for one in schemes)


# --- what kills a token, at once ---


def _revoke_client(source: Provisioner, _: str) -> None:
    with source.tenant.tx() as tx:
        revoke_client(tx, source.client.client_id, caller=ADMINISTRATOR, now=source.tenant.now)


def _end_connection(source: Provisioner, _: str) -> None:
    with source.tenant.tx() as tx:
        end_connection(tx, source.connection_id, caller=ADMINISTRATOR, now=source.tenant.now)


def _end_connection_row_alone(source: Provisioner, _: str) -> None:
    source.tenant.sql("UPDATE connections SET ended_at = now() WHERE tenant_id = :tenant AND id = :id",
                      id=source.connection_id)  # fmt: skip


def _revoke_token(source: Provisioner, token: str) -> None:
    assert source.tenant.post("revoke", source.client, token=token).status_code == 200


def _expire(source: Provisioner, _: str) -> None:
    clock = source.tenant.runtime.clock
    clock.forward(300)  # type: ignore[attr-defined]


def _cut_off(kind: CutoffKind, key: Callable[[Provisioner, str], str]) -> Callable[[Provisioner, str], None]:
    def cut(source: Provisioner, token: str) -> None:
        with source.tenant.tx() as tx:
            cutoff_set(tx, kind, key(source, token), reason="test", now=source.tenant.now)

    return cut


def _suspend_tenant(source: Provisioner, _: str) -> None:
    source.tenant.sql("UPDATE tenants SET state = 'suspended' WHERE tenant_id = :tenant")


def _forget(source: Provisioner, token: str) -> None:
    source.tenant.sql("UPDATE tokens SET jti = gen_random_uuid() WHERE tenant_id = :tenant")


def _retire_keys(source: Provisioner, _: str) -> None:
    source.tenant.sql("UPDATE signing_keys SET verify_until = :now WHERE tenant_id = :tenant", now=source.tenant.now)


DEATHS: dict[str, tuple[Callable[[Provisioner, str], None], str]] = {
    "its client is revoked": (_revoke_client, "token_client_revoked"),
    "its connection is ended": (_end_connection, "token_client_revoked"),
    "only the connection's row says so": (_end_connection_row_alone, "token_client_revoked"),
    "it is revoked": (_revoke_token, "token_revoked"),
    "its time is over": (_expire, "token_expired"),
    "its client is cut off": (_cut_off(CutoffKind.CLIENT, lambda s, _: s.client.client_id), "token_cut_off"),
    "it is cut off": (_cut_off(CutoffKind.TOKEN, lambda _, token: claims_in(token)["jti"]), "token_cut_off"),
    "the tenant is cut off": (_cut_off(CutoffKind.TENANT, lambda s, _: str(s.tenant.seeded.id)), "token_cut_off"),
    "the tenant is suspended": (_suspend_tenant, "token_tenant_inactive"),
    "nobody remembers it": (_forget, "token_unknown"),
    "its key is retired": (_retire_keys, "token_key"),
}


@pytest.mark.promise(1)
@pytest.mark.parametrize("death", DEATHS)
def test_a_token_is_refused_from_the_moment_on_that(acme: Tenant, death: str) -> None:
    befall, reason = DEATHS[death]
    source = provisioner(acme)
    token = source.token()
    assert source.ask(token).status_code == 200
    befall(source, token)
    refused = source.create(token, "late@acme.example")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, INVALID)
    assert acme.last_event().event.reason == reason
    assert not acme.sql("SELECT FROM principals WHERE tenant_id = :tenant AND name = 'late@acme.example'")


def test_a_rotation_of_the_issuers_keys_refuses_nobody(two_tenants: TwoTenants) -> None:
    source = provisioner(two_tenants.acme)
    before = source.token()
    with two_tenants.acme.tx() as tx:
        rotate_keys(tx, encryption=two_tenants.runtime.encryption, caller=ADMINISTRATOR, now=two_tenants.acme.now)
    assert source.ask(before).status_code == 200
    two_tenants.clock.now = activation_of_next(two_tenants.clock.now) + timedelta(seconds=1)
    assert source.ask(source.token()).status_code == 200


# --- what never opens it ---


def tokens_of(source: Provisioner) -> dict[str, str]:
    """One token of each kind that is about in a tenant, the one for the SCIM endpoint apart."""
    tenant = source.tenant
    return {
        "a task token": tenant.task_token(),
        "a task token that was handed on": tenant.chain("invoice-bot", "ocr-bot")[-1],
        "an agent's own token": tenant.own_token("ocr-bot"),
        "an agent's own token for a resource server": tenant.own_token("ocr-bot", resource=ERP),
        "an ID token of an upstream issuer": tenant.id_token(),
        "a client assertion": source.client.assertion(tenant.issuer, tenant.now),
        "a client assertion for the endpoint": source.client.assertion(source.resource, tenant.now),
        "a client's secret": provisioner(tenant, signs=False, name="secret").client.secret or "",
    }


@pytest.mark.promise(4)
@pytest.mark.rfc("7644", "2.1", "2.1-2")
@pytest.mark.rfc("7644", "7.3", "7.3-1")
def test_each_kind_of_token_opens_its_own_door_and_no_other(two_tenants: TwoTenants) -> None:
    mine, rivals = provisioner(two_tenants.acme), provisioner(two_tenants.rival)
    scim = mine.token()
    for kind, token in tokens_of(mine).items():
        refused = mine.ask(token)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, INVALID), kind
    for token in (scim, mine.own_token, rivals.token(), rivals.own_token):
        there = rivals if token in (scim, mine.own_token) else mine
        assert there.ask(token).status_code == 401
    bearer = {"Authorization": f"Bearer {scim}"}
    assert two_tenants.http.get("/admin/v1/tenants", headers=bearer).status_code == 401
    for endpoint in ("token", "introspect", "revoke"):
        form = {"grant_type": "client_credentials", "token": scim}
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": scim}
        for presented in (form, form | proof):
            answer = two_tenants.http.post(f"/t/acme/oauth/{endpoint}", data=presented, headers=bearer)
            assert answer.status_code == 401, (endpoint, presented)
    assert mine.ask(scim).status_code == 200  # and its own door is still open


def forged(tenant: Tenant, **changed: Any) -> str:
    """A token that our own key has signed and the database remembers, with one thing wrong."""
    source = provisioner(tenant, name="forger")
    right = Issue(
        jti=next_jti(tenant),
        client_id=source.client.client_id,
        client_ids=(source.client.client_id,),
        audience=source.resource,
        scopes=("scim",),
        issued_at=tenant.now,
        expires_at=tenant.now + timedelta(seconds=300),
    )
    issuer = Issuer(tenant.issuer, tenant.slug, tenant.runtime.keys)
    with tenant.tx() as tx:
        facts = client_credentials_facts_read(
            tx, ClientLookup(source.client.client_id), resource=None, txn=None, now=tenant.now
        )
        issue = replace(right, **changed)
        assert facts.common.client is not None
        call = ClientCall(tx, facts.common.client, issuer, tenant.runtime.upstream_keys, ADMINISTRATOR, tenant.now)
        return issue_token(call, issue, facts.common).access_token


def next_jti(tenant: Tenant) -> Any:
    with tenant.tx() as tx:
        return tx.new_id()


def party_of(tenant: Tenant) -> Party:
    bot = tenant.agent("ocr-bot")
    with tenant.tx() as tx:
        found = client_credentials_facts_read(
            tx, ClientLookup(bot.client_id), resource=None, txn=None, now=tenant.now
        ).principal
    assert found is not None
    return found


@pytest.mark.rfc("7644", "2.1", "2.1-1", "2.1-2")
@pytest.mark.rfc("7644", "7.3", "7.3-1")
def test_even_a_token_that_we_signed_must_be_exactly_the_right_one(acme: Tenant) -> None:
    source, bot = provisioner(acme), party_of(acme)
    agents = {"client_id": acme.agent("ocr-bot").client_id, "client_ids": (acme.agent("ocr-bot").client_id,)}
    assert source.ask(forged(acme)).status_code == 200  # nothing is wrong with this one
    for fault, reason in (
        ({"audience": acme.issuer}, "token_audience"),
        ({"audience": "https://identity.example/t/rival/scim/v2"}, "token_audience"),
        ({"subject": bot, "parties": (bot,)}, "token_not_of_a_connection"),
        ({"actors": (bot,)}, "token_not_of_a_connection"),
        (agents, "token_not_of_a_connection"),  # of a client that is of no connection
    ):
        acme.runtime.refusals.kept.clear()  # as in a new minute
        assert source.ask(forged(acme, **fault)).status_code == 401, fault
        assert acme.last_event().event.reason == reason, fault


@pytest.mark.rfc("6750", "3.1")
@pytest.mark.rfc("7644", "2.1", "2.1-1")
def test_a_token_without_the_scope_is_told_which_one_it_lacks(acme: Tenant) -> None:
    source = provisioner(acme)
    for scopes in ((), ("scim.read", "Scim")):
        acme.runtime.refusals.kept.clear()  # as in a new minute
        refused = source.ask(forged(acme, scopes=scopes))
        assert refused.status_code == 403
        assert refused.headers["WWW-Authenticate"] == CHALLENGE.format('error="insufficient_scope", ')
        assert acme.last_event().event.reason == "insufficient_scope"


# --- Bulk, and what it costs ---


@pytest.mark.parametrize("befall", [_revoke_client, _end_connection, _expire, _revoke_token])
def test_what_ends_during_a_bulk_refuses_the_operations_that_follow(
    two_tenants: TwoTenants, befall: Callable[[Provisioner, str], None]
) -> None:
    source = provisioner(two_tenants.acme)
    token = source.token()
    assert source.ask(token).status_code == 200
    looks = itertools.count(1)

    def clock() -> datetime:
        if next(looks) == 3:  # the request itself and its first operation have looked before
            two_tenants.app.extensions["identity"] = two_tenants.runtime
            befall(source, token)
        return two_tenants.clock()

    users = [{"method": "POST", "path": "/Users", "bulkId": f"b{n}", "data": {"schemas": [USER], "userName": f"u{n}"}}
             for n in range(3)]  # fmt: skip
    two_tenants.app.extensions["identity"] = replace(two_tenants.runtime, clock=clock)
    reports = source.ask(token, "POST", "/Bulk", {"schemas": [BULK], "Operations": users}).json()["Operations"]
    assert [report["status"] for report in reports] == ["201", "401", "401"]
    assert two_tenants.acme.sql("SELECT name FROM principals WHERE tenant_id = :tenant AND name LIKE 'u_'") == [("u0",)]


@pytest.mark.promise(10)
def test_what_a_client_asked_for_and_does_not_wait_for_ends_with_the_client(acme: Tenant) -> None:
    people = provisioner(acme)
    create = {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"schemas": [USER], "userName": "sam-later"}}
    accepted = acme.http.post(
        f"/t/{acme.slug}/scim/v2/Bulk",
        json={"schemas": [BULK], "Operations": [create]},
        headers={"Authorization": f"Bearer {people.token()}", "Prefer": "respond-async"},
    )
    assert accepted.status_code == 202
    _revoke_client(people, "")
    begin = partial(transaction, acme.runtime.engine, acme.seeded.id, holds_events=True)
    txn = accepted.headers["Set-Txn"]
    perform(begin, UUID(txn), encryption=acme.runtime.encryption, clock=acme.runtime.clock, until=lambda: False)
    [report] = people.ask(people.own_token, path=f"/AsyncRequests/{txn}").json()["Operations"]
    assert report["status"] == "401"
    assert people.ask(people.own_token, path='/Users?filter=userName eq "sam-later"').json()["totalResults"] == 0


def test_it_costs_no_more_round_trips_than_a_connections_own_token(acme: Tenant) -> None:
    source = provisioner(acme)
    token = source.token()
    costs = []
    for credential in (source.own_token, token):
        source.ask(credential)  # the process learns the tenant and the token
        with round_trips(acme.runtime.engine) as read:
            source.ask(credential)
        with round_trips(acme.runtime.engine) as create:
            assert source.create(credential, f"cost-{credential[-6:]}").status_code == 201
        costs.append((len(read), len(create)))
    assert costs[0] == costs[1]
    assert costs[1][0] <= 4
    assert costs[1][1] <= 8


# --- how often ---


def test_a_fresh_token_is_neither_a_guess_nor_a_bucket_of_its_own(two_tenants: TwoTenants) -> None:
    source, other = provisioner(two_tenants.acme), provisioner(two_tenants.acme, name="others")
    assert source.ask(source.token()).status_code == 200  # the process learns the key
    few = Rate(per_s=0.001, burst=3)
    two_tenants.app.extensions["identity"] = replace(
        two_tenants.runtime, unknown_token_rate=few, scim_rate=few, scim_buckets=Buckets()
    )
    guesses = [source.ask(f"guess-{number}").status_code for number in range(4)]
    assert guesses == [401, 401, 401, 429]
    assert [source.ask(source.token()).status_code for _ in range(5)] == [200] * 3 + [429] * 2
    assert other.ask(other.token()).status_code == 200
    assert source.ask(two_tenants.acme.task_token()).status_code == 429  # good elsewhere, a guess here
