"""Connections: scim with its bearer token, oidc with the upstream issuer that it trusts."""

from base64 import urlsafe_b64decode
from itertools import combinations
from typing import Any

import pytest

from identity.actions.authentication import authenticate_connection
from identity.actions.tenants import resolve_tenant
from identity.edge.runtime import Runtime
from identity.model.errors import NotAuthenticated
from identity.model.ids import PLATFORM
from identity.store.transaction import transaction
from tests.admin.conftest import Admin, Clock, Provision

NOBODY = "01890000-0000-7000-8000-000000000000"
SCIM = {"kind": "scim", "name": "entra", "dialect": "entra"}
UPSTREAM = {
    "kind": "oidc",
    "name": "login",
    "issuer": "https://login.example",
    "jwks_uri": "https://login.example/keys",
    "audiences": ["invoice-bot"],
}


def is_accepted(runtime: Runtime, tenant: str, token: str) -> bool:
    with transaction(runtime.engine, PLATFORM) as tx:
        tenant_id = resolve_tenant(tx, tenant).id
    try:
        with transaction(runtime.engine, tenant_id) as tx:
            authenticate_connection(tx, token, request_id="tests", now=runtime.clock())
    except NotAuthenticated:
        return False
    return True


@pytest.mark.rfc("7644", "1.3", "1.3-1")
def test_a_scim_connection_says_where_to_push_and_shows_its_token_once(
    acme: Admin, rival: Admin, runtime: Runtime
) -> None:
    made = acme.post("/connections", SCIM)
    assert made["scim_base_url"] == "https://identity.example/t/acme/scim/v2"
    assert made["token"].startswith("idf_scim_")
    assert is_accepted(runtime, "acme", made["token"])
    assert not is_accepted(runtime, "rival", made["token"])
    assert "token" not in acme.get(f"/connections/{made['id']}")
    assert made["token"] not in str(acme.get("/connections")) + str(acme.events())
    assert rival.get("/connections")["items"] == []


@pytest.mark.rfc("7644", "7.4", "7.4-1")
def test_a_token_has_256_bits_that_nobody_can_guess(acme: Admin) -> None:
    made = acme.post("/connections", SCIM)
    tokens = [made["token"]] + [acme.post(f"/connections/{made['id']}/tokens")["token"] for _ in range(3)]
    secrets = [urlsafe_b64decode(token.removeprefix("idf_scim_") + "=") for token in tokens]
    assert [len(secret) for secret in secrets] == [256 // 8] * len(tokens)
    bits = ["".join(f"{byte:08b}" for byte in secret) for secret in secrets]
    apart = [sum(a != b for a, b in zip(one, other, strict=True)) for one, other in combinations(bits, 2)]
    assert min(apart) > 64  # of 256 bits, half are to be expected


@pytest.mark.parametrize("overlap_s", [0, 3600, 30 * 86400])
def test_a_replaced_token_lives_exactly_as_long_as_the_overlap(
    acme: Admin, runtime: Runtime, clock: Clock, overlap_s: int
) -> None:
    made = acme.post("/connections", SCIM)
    new = acme.post(f"/connections/{made['id']}/tokens", {"overlap_s": overlap_s})["token"]
    clock.advance(seconds=overlap_s - 1 if overlap_s else 0)
    assert is_accepted(runtime, "acme", made["token"]) is (overlap_s > 0)
    clock.advance(seconds=1)
    assert not is_accepted(runtime, "acme", made["token"])
    assert is_accepted(runtime, "acme", new)


def test_a_rotation_without_a_word_overlaps_by_a_day(acme: Admin, runtime: Runtime, clock: Clock) -> None:
    made = acme.post("/connections", SCIM)
    acme.post(f"/connections/{made['id']}/tokens")
    clock.advance(hours=23)
    assert is_accepted(runtime, "acme", made["token"])
    clock.advance(hours=1)
    assert not is_accepted(runtime, "acme", made["token"])


def test_only_so_many_tokens_overlap_and_ending_them_all_is_always_possible(acme: Admin) -> None:
    made = acme.post("/connections", SCIM)
    for _ in range(4):
        acme.post(f"/connections/{made['id']}/tokens")
    assert acme.post(f"/connections/{made['id']}/tokens", {}, 409)["code"] == "too_many_tokens"
    acme.post(f"/connections/{made['id']}/tokens", {"overlap_s": 0})
    tokens = acme.get(f"/connections/{made['id']}/tokens")["items"]
    assert len(tokens) == 6
    assert [token["expires_at"] is None for token in tokens] == [True] + [False] * 5
    assert {"id", "created_at", "expires_at", "revoked_at"} == set(tokens[0])


def test_an_ended_connection_is_refused_at_once_and_ending_it_twice_is_ending_it_once(
    acme: Admin, runtime: Runtime
) -> None:
    made = acme.post("/connections", SCIM)
    for _ in range(2):
        acme.delete(f"/connections/{made['id']}")
    assert not is_accepted(runtime, "acme", made["token"])
    assert acme.get(f"/connections/{made['id']}")["ended_at"] is not None
    assert len(acme.events(type="connection.ended")) == 1
    assert acme.post(f"/connections/{made['id']}/tokens", {}, 409)["code"] == "connection_ended"
    assert acme.patch(f"/connections/{made['id']}", {"name": "again"}, 409)["code"] == "connection_ended"


def test_name_and_dialect_change_and_an_older_version_is_refused(acme: Admin) -> None:
    made = acme.post("/connections", SCIM)
    changed = acme.patch(f"/connections/{made['id']}", {"dialect": "okta"}, **{"If-Match": '"1"'})
    assert (changed["dialect"], changed["name"], changed["version"]) == ("okta", "entra", 2)
    stale = acme.patch(f"/connections/{made['id']}", {"name": "x"}, 412, **{"If-Match": '"1"'})
    assert stale["code"] == "precondition_failed"
    again = acme.patch(f"/connections/{made['id']}", {"dialect": "okta"})
    assert again["version"] == 2
    assert len(acme.events(type="connection.changed")) == 1


def test_an_oidc_connection_compares_sub_unless_told_otherwise(acme: Admin) -> None:
    scim = acme.post("/connections", SCIM)
    plain = acme.post("/connections", UPSTREAM)
    assert (plain["subject_claim"], plain["match"], plain["provisioned_by"]) == ("sub", "subject", None)
    assert "token" not in plain
    entra = {"subject_claim": "oid", "match": "externalId", "provisioned_by": scim["id"], "issuer": "https://e.example"}
    told = acme.post("/connections", {**UPSTREAM, **entra})
    assert {name: told[name] for name in entra} == entra


def test_an_issuer_is_trusted_by_one_live_connection_of_a_tenant(acme: Admin, rival: Admin) -> None:
    first = acme.post("/connections", UPSTREAM)
    assert acme.post("/connections", UPSTREAM, 409)["code"] == "issuer_taken"
    rival.post("/connections", UPSTREAM)
    acme.delete(f"/connections/{first['id']}")
    acme.post("/connections", UPSTREAM)


def test_inline_keys_are_kept_with_their_names(acme: Admin, public_jwk: dict[str, Any]) -> None:
    without = {name: value for name, value in UPSTREAM.items() if name != "jwks_uri"}
    nameless = {name: value for name, value in public_jwk.items() if name != "kid"}
    made = acme.post("/connections", {**without, "jwks": {"keys": [nameless]}})
    assert made["jwks"]["keys"][0]["kid"]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"issuer": "http://login.example"}, "/issuer"),
        ({"issuer": "http://127.0.0.1:9000"}, "/issuer"),  # this machine, which these settings do not allow
        ({"issuer": "https://identity.example/t/rival"}, "/issuer"),  # one of ours
        ({"issuer": "https://login.example?x=1"}, "/issuer"),
        ({"issuer": "https://login.example#x"}, "/issuer"),
        ({"issuer": "https://user@login.example"}, "/issuer"),
        ({"issuer": "https://[::1"}, "/issuer"),
        ({"issuer": "https://login.example:99999"}, "/issuer"),
        ({"issuer": "login.example"}, "/issuer"),
        ({"issuer": 7}, "/issuer"),
        ({"jwks_uri": "http://login.example/keys"}, "/jwks_uri"),
        ({"jwks_uri": "file:///etc/passwd"}, "/jwks_uri"),
        ({"jwks_uri": None}, "/jwks_uri"),
        ({"jwks": {"keys": []}}, "/jwks_uri"),
        ({"audiences": []}, "/audiences"),
        ({"audiences": None}, "/audiences"),
        ({"subject_claim": "email"}, "/subject_claim"),
        ({"subject_claim": "UPN"}, "/subject_claim"),
        ({"match": "email"}, "/match"),
        ({"provisioned_by": NOBODY}, "/provisioned_by"),
        ({"match": "externalId"}, "/provisioned_by"),
        ({"match": "externalId", "provisioned_by": None}, "/provisioned_by"),
        ({"match": "externalId", "provisioned_by": NOBODY}, "/provisioned_by"),
        ({"token_kinds": []}, "/token_kinds"),
        ({"token_kinds": ["refresh_token"]}, "/token_kinds/0"),
        ({"token_kinds": "id_token"}, "/token_kinds"),
        ({"token_kinds": ["id_token"] * 4}, "/token_kinds"),
        ({"max_age_s": 59}, "/max_age_s"),
        ({"max_age_s": 7 * 86_400 + 1}, "/max_age_s"),
        ({"max_age_s": "60"}, "/max_age_s"),
        ({"max_age_s": True}, "/max_age_s"),
        ({"max_lifetime_s": 0}, "/max_lifetime_s"),
        ({"max_lifetime_s": None}, "/max_lifetime_s"),
        ({"upstream_act": "drop"}, "/upstream_act"),
        ({"dialect": "entra"}, "/dialect"),
        ({"name": ""}, "/name"),
        ({"name": "a\u0000b"}, None),
    ],
)
def test_an_oidc_connection_with_one_fault_is_refused_for_it(
    acme: Admin, changed: dict[str, Any], pointer: str | None
) -> None:
    problem = acme.post("/connections", {**UPSTREAM, **changed}, 400)
    assert [error["pointer"] for error in problem.get("errors", [])][:1] == ([pointer] if pointer else [])
    assert acme.get("/connections")["items"] == []


def test_an_external_id_needs_the_source_that_gave_it(acme: Admin, rival: Admin) -> None:
    scim, foreign = acme.post("/connections", SCIM)["id"], rival.post("/connections", SCIM)["id"]
    by_external_id = {**UPSTREAM, "match": "externalId"}
    assert acme.post("/connections", by_external_id, 400)["code"] == "provisioned_by_required"
    acme.post("/connections", {**by_external_id, "provisioned_by": foreign}, 400)
    acme.post("/connections", {**by_external_id, "provisioned_by": scim})


POLICY = {
    "token_kinds": ["access_token", "id_token"],
    "max_age_s": 86_400,
    "max_lifetime_s": 86_400,
    "upstream_act": "refuse",
}


def test_a_connection_says_which_tokens_of_its_issuer_are_taken(acme: Admin, rival: Admin) -> None:
    made = acme.post("/connections", UPSTREAM)
    assert {name: made[name] for name in POLICY} == {**POLICY, "token_kinds": ["access_token", "id_token"]}
    other = {"token_kinds": ["jwt_access_token"], "max_age_s": 60, "max_lifetime_s": 604_800, "upstream_act": "keep"}
    told = rival.post("/connections", {**UPSTREAM, **other})
    assert {name: told[name] for name in POLICY} == other
    changed = acme.patch(f"/connections/{made['id']}", other)
    assert {name: changed[name] for name in POLICY} == other
    assert acme.get(f"/connections/{made['id']}")["version"] == 2
    assert acme.patch(f"/connections/{made['id']}", other)["version"] == 2, "nothing is new"
    assert acme.events(type="connection.changed")[0]["detail"]["changed"] == sorted(POLICY)
    for name, value in (("max_age_s", 1), ("token_kinds", []), ("upstream_act", "drop"), ("max_lifetime_s", 1e9)):
        problem = acme.patch(f"/connections/{made['id']}", {name: value}, 400)
        assert problem["errors"][0]["pointer"] == f"/{name}"


def test_a_scim_connection_takes_no_tokens_of_an_issuer(acme: Admin, rival: Admin) -> None:
    made = acme.post("/connections", SCIM)
    assert {made.get(name) for name in POLICY if name != "token_kinds"} == {None}
    for name, value in POLICY.items():
        problem = acme.patch(f"/connections/{made['id']}", {name: value}, 400)
        assert problem["errors"][0]["pointer"] == f"/{name}"
        acme.post("/connections", {**SCIM, name: value}, 400)


@pytest.mark.parametrize("x", ["AA" * 21 + "A", "7v" + "__" * 20 + "8"])
def test_a_weak_key_is_refused_in_a_connections_key_set(acme: Admin, public_jwk: dict[str, Any], x: str) -> None:
    """Points of small order, and encoded beyond the field."""
    without = {name: value for name, value in UPSTREAM.items() if name != "jwks_uri"}
    weak = {"kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": x}
    problem = acme.post("/connections", {**without, "jwks": {"keys": [public_jwk, weak]}}, 400)
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("unusable_jwks", "/jwks/keys/1")


def test_this_machine_is_a_possible_upstream_where_the_settings_allow_it(runtime: Runtime, acme: Admin) -> None:
    object.__setattr__(runtime, "allow_loopback", True)
    local = {"issuer": "http://127.0.0.1:9000", "jwks_uri": "http://127.0.0.1:9000/keys"}
    acme.post("/connections", {**UPSTREAM, **local})
    acme.post("/connections", {**UPSTREAM, "issuer": "http://10.0.0.1"}, 400)


def test_an_upstream_connection_has_no_bearer_token(acme: Admin, rival: Admin, provision: Provision) -> None:
    made = acme.post("/connections", UPSTREAM)
    assert acme.post(f"/connections/{made['id']}/tokens", {}, 400)["code"] == "not_a_scim_connection"
    assert acme.patch(f"/connections/{made['id']}", {"dialect": "okta"}, 400)["errors"][0]["pointer"] == "/dialect"


def test_a_subject_means_one_user_until_it_is_unlinked(acme: Admin, rival: Admin, provision: Provision) -> None:
    upstream = acme.post("/connections", UPSTREAM)["id"]
    dana, sam = provision("acme", "user"), provision("acme", "user")
    link = {"connection_id": upstream, "subject": "00u/1?x=ä"}
    for _ in range(2):
        assert acme.post(f"/principals/{dana}/subjects", link)["principal_id"] == dana
    assert acme.post(f"/principals/{sam}/subjects", link, 409)["code"] == "subject_taken"
    assert rival.post(f"/principals/{dana}/subjects", link, 404)["code"] == "not_found"
    assert [one["subject"] for one in acme.get(f"/principals/{dana}/subjects")["items"]] == ["00u/1?x=ä"]
    for _ in range(2):
        acme.delete(f"/principals/{dana}/subjects?connection_id={upstream}&subject=00u/1?x=%C3%A4")
    acme.post(f"/principals/{sam}/subjects", link)
    told = [event["type"] for event in acme.events() if event["type"].startswith("subject.")]
    assert told == ["subject.linked", "subject.unlinked", "subject.linked"]
    assert "00u/1" not in str(acme.events())


def test_a_subject_is_of_a_live_oidc_connection_and_of_a_user(acme: Admin, rival: Admin, provision: Provision) -> None:
    scim, theirs = acme.post("/connections", SCIM)["id"], rival.post("/connections", UPSTREAM)["id"]
    upstream = acme.post("/connections", UPSTREAM)["id"]
    dana, bot = provision("acme", "user"), provision("acme", "agent")
    for wrong in (scim, theirs, NOBODY):
        problem = acme.post(f"/principals/{dana}/subjects", {"connection_id": wrong, "subject": "1"}, 400)
        assert problem["errors"][0]["pointer"] == "/connection_id"
    acme.post(f"/principals/{bot}/subjects", {"connection_id": upstream, "subject": "1"}, 404)
