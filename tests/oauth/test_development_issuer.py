"""Where it is not allowed, no token of the development issuer is exchanged, whatever a connection says."""

import httpx2
import pytest
from joserfc.jwk import ECKey

from identity.model.connection import DEVELOPMENT_ISSUER
from tests.fixtures import ERP, TYPE, Tenant, TwoTenants, trust
from tests.upstream_issuer import PORTAL, Upstream


@pytest.fixture
def upstream(two_tenants: TwoTenants) -> Upstream:
    """The development issuer, trusted by both tenants: their connections were made where that is allowed."""
    made = Upstream(DEVELOPMENT_ISSUER, ECKey.generate_key("P-256"))
    for tenant in (two_tenants.acme, two_tenants.rival):
        with tenant.tx() as tx:
            trust(tx, DEVELOPMENT_ISSUER, jwks=made.jwks, allow_development=True)
    return made


def exchange(tenant: Tenant, upstream: Upstream) -> httpx2.Response:
    token = upstream.sign(tenant.now, aud=PORTAL)
    return tenant.exchange("ocr-bot", token, subject_token_type=f"{TYPE}id_token", resource=ERP)


def test_a_token_of_the_development_issuer_is_refused_and_the_audit_log_says_why(
    acme: Tenant, rival: Tenant, upstream: Upstream
) -> None:
    refused = exchange(acme, upstream)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    event = acme.last_event().event
    assert (event.type, event.outcome, event.reason) == ("oauth.refused", "refused", "development_issuer")
    assert event.subject_id == acme.seeded.sam
    assert [one.event.reason for one in rival.events(type="oauth.refused")] == []


def test_where_it_is_allowed_the_same_token_is_exchanged(
    acme: Tenant, upstream: Upstream, two_tenants: TwoTenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_tenants.runtime.upstream_keys, "allow_development", True)
    assert exchange(acme, upstream).status_code == 200


def test_people_of_other_issuers_are_exchanged_beside_it(acme: Tenant, upstream: Upstream) -> None:
    assert acme.exchange("ocr-bot").status_code == 200
