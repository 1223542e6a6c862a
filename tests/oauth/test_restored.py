"""After a restore: what was issued, signed or used before is dead, whether it is on record or not (RFC 7523 §3).

The drill with a real base backup and WAL is in tests/restore.
"""

from datetime import timedelta
from typing import Any

import pytest
from identity_verifier import parse_key_set

from identity.actions.restoration import restore_tenant
from identity.actions.tenants import resolve_tenant
from identity.model.restoration import AHEAD, RestoredTenant
from tests.fixtures import ADMIN_TOKEN, ADMINISTRATOR, ASSERTION_TYPE, Tenant, TwoTenants
from tests.oauth.conftest import SEAL

IN_HALF_A_MINUTE = AHEAD.total_seconds() + 1


def restore(tenant: Tenant, **more: Any) -> RestoredTenant:
    with tenant.tx() as tx:
        found = resolve_tenant(tx, tenant.slug)
        given = {"restored_to": None, "encryption": SEAL, "caller": ADMINISTRATOR, "now": tenant.now} | more
        return restore_tenant(tx, found, **given)


def forget_assertions(tenant: Tenant) -> None:
    """As a restore does: what was used since then is not on record."""
    tenant.sql("DELETE FROM used_assertions WHERE tenant_id = :tenant")


def by_assertion(tenant: Tenant, assertion: str) -> tuple[int, str | None]:
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    answer = tenant.ask(None, grant_type="client_credentials", **form)
    return answer.status_code, tenant.last_event().event.reason


def kids(tenant: Tenant) -> set[str]:
    return set(parse_key_set(tenant.http.get(f"/t/{tenant.slug}/jwks").content).by_id)


@pytest.mark.promise(1)
def test_every_token_of_the_tenant_is_dead_and_new_ones_live_and_the_rival_notices_nothing(
    two_tenants: TwoTenants,
) -> None:
    acme, rival = two_tenants.acme, two_tenants.rival
    old = [*acme.chain("invoice-bot", "ocr-bot"), acme.own_token("invoice-bot", resource="https://erp.example")]
    theirs, their_keys, keys = rival.task_token(), kids(rival), kids(acme)
    restore(acme)
    two_tenants.clock.forward(IN_HALF_A_MINUTE)
    assert [acme.is_live(token) for token in old] == [False] * 3
    assert acme.exchange("ocr-bot", old[0]).json()["error_description"].endswith("(subject_token_key)")
    assert acme.is_live(acme.task_token())
    assert kids(acme).isdisjoint(keys)  # a verifier that asks for the keys refuses the old tokens by itself
    assert rival.is_live(theirs)
    assert kids(rival) == their_keys


@pytest.mark.promise(1)
def test_a_token_of_an_old_key_that_is_still_trusted_is_dead_for_the_cut_off_alone(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    token = acme.task_token()
    restore(acme)
    acme.sql("UPDATE signing_keys SET state = 'live' WHERE tenant_id = :tenant")
    two_tenants.clock.forward(IN_HALF_A_MINUTE)
    assert not acme.is_live(token)
    assert acme.exchange("ocr-bot", token).json()["error_description"].endswith("(subject_token_cut_off)")


@pytest.mark.promise(1)
def test_a_person_s_token_of_the_upstream_issuer_from_before_is_refused(two_tenants: TwoTenants) -> None:
    """Whoever was deprovisioned since then is active again; the cut-off of that is lost, and its sign-in is not."""
    acme = two_tenants.acme
    before = {"subject_token": acme.id_token(), "subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}
    restore(acme)
    two_tenants.clock.forward(IN_HALF_A_MINUTE)
    assert acme.exchange("invoice-bot", **before).json()["error_description"].endswith("(subject_cut_off)")
    assert acme.exchange("invoice-bot").status_code == 200


@pytest.mark.promise(9)
@pytest.mark.parametrize("iat", [{}, {"iat": ...}], ids=["with iat", "without"])
@pytest.mark.parametrize("lifetime_s", [60, 300])
def test_an_assertion_from_before_is_refused_although_its_use_is_not_on_record(
    two_tenants: TwoTenants, lifetime_s: int, iat: dict[str, Any]
) -> None:
    acme, second = two_tenants.acme, int(two_tenants.clock().timestamp())
    old = acme.agent().assertion(acme.issuer, acme.now, exp=second + lifetime_s, **iat)
    ahead = acme.agent().assertion(acme.issuer, acme.now + timedelta(seconds=29), exp=second + lifetime_s, **iat)
    restore(acme)
    forget_assertions(acme)
    two_tenants.clock.forward(IN_HALF_A_MINUTE)
    for assertion in (old, ahead):
        assert by_assertion(acme, assertion) == (401, "client_assertion_replayed")
    fresh = acme.agent().assertion(acme.issuer, acme.now)
    assert [by_assertion(acme, fresh)[0] for _ in range(2)] == [200, 401]


@pytest.mark.promise(9)
def test_an_assertion_without_iat_is_taken_again_when_none_from_before_could_be_alive(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    restore(acme)
    two_tenants.clock.forward(IN_HALF_A_MINUTE + 300)
    assert by_assertion(acme, acme.agent().assertion(acme.issuer, acme.now, iat=...))[0] == 200


@pytest.mark.promise(9)
def test_for_half_a_minute_clients_are_told_to_try_again_and_spend_nothing(two_tenants: TwoTenants) -> None:
    """A token of now would be dead at once, for clocks may differ by as much."""
    acme = two_tenants.acme
    restore(acme)
    assertion = acme.agent().assertion(acme.issuer, acme.now + timedelta(seconds=IN_HALF_A_MINUTE), iat=...)
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    for answer in (
        acme.exchange("ocr-bot"),
        acme.ask(None, grant_type="client_credentials", **form),
        acme.post("introspect", acme.seeded.erp, token="x"),
        acme.post("revoke", acme.seeded.erp, token="x"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert "Retry-After" in answer.headers
    assert acme.sql("SELECT FROM used_assertions WHERE tenant_id = :tenant") == []
    two_tenants.clock.forward(IN_HALF_A_MINUTE)
    assert acme.exchange("ocr-bot").status_code == 200


def test_the_cut_off_is_published_and_the_restore_is_an_event(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    done = restore(acme)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    [cut] = acme.http.get("/admin/v1/tenants/acme/cutoffs", headers=headers).json()["items"]
    assert (cut["kind"], cut["key"], cut["reason"]) == ("tenant", str(acme.seeded.id), "restored")
    assert done.cut_off == acme.now + AHEAD
    recorded = acme.last_event().event
    assert (recorded.type, recorded.detail["cut_off"]) == ("tenant.restored", done.cut_off.isoformat())


def test_twice_for_one_point_is_once_and_another_point_is_another_restore(two_tenants: TwoTenants) -> None:
    acme, point = two_tenants.acme, two_tenants.clock() - timedelta(minutes=5)
    first = restore(acme, restored_to=point)
    two_tenants.clock.forward(IN_HALF_A_MINUTE)
    token, keys = acme.task_token(), kids(acme)
    again = restore(acme, restored_to=point)
    assert (first.is_new, again.is_new, again.cut_off) == (True, False, first.cut_off)
    assert (acme.is_live(token), kids(acme)) == (True, keys)
    two_tenants.clock.forward(1)
    assert restore(acme, restored_to=point + timedelta(seconds=1)).is_new
    two_tenants.clock.forward(IN_HALF_A_MINUTE)
    assert not acme.is_live(token)


def test_without_a_point_it_is_that_of_the_last_event_and_twice_in_a_row_is_once(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    acme.task_token()
    last = acme.last_event()
    first, again = restore(acme), restore(acme)
    assert (first.restored_to, first.is_new) == (last.at, True)
    assert (again.restored_to, again.is_new) == (last.at, False)


def test_the_sources_are_told_with_when_they_were_last_heard(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    [source] = restore(acme).sources
    assert (source.name, source.dialect, source.last_heard_at) == ("directory", "rfc", None)
    two_tenants.clock.forward(1)
    push = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "kim"}
    headers = {"Authorization": "Bearer idf_scim_directory_of_acme_0123456789abcdef"}
    assert acme.http.post("/t/acme/scim/v2/Users", json=push, headers=headers).status_code == 201
    assert restore(acme).sources[0].last_heard_at == two_tenants.clock()
