"""An agent is stopped, looked at and let go again, before a web server that runs as a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from tests.config.test_management import wait_until
from tests.config.test_serve import SECONDS, readiness, running
from tests.fixtures import ADMIN_TOKEN, EXTERNAL_URL, Tenant, TwoTenants, claims_in, let_act

pytestmark = pytest.mark.timeout(120)


@contextmanager
def served(two_tenants: TwoTenants, said: Path) -> Iterator[tuple[Tenant, Tenant]]:
    """Both tenants of the world, served by `identity serve` with the wall clock."""
    url = two_tenants.runtime.engine.url.render_as_string(hide_password=False)
    given = {"IDENTITY_ADMIN_TOKEN": ADMIN_TOKEN, "IDENTITY_EXTERNAL_URL": EXTERNAL_URL}
    with running("serve", url, said, **given) as (port, _):
        wait_until(lambda: readiness(port) == (200, None), SECONDS)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as http:
            yield replace(two_tenants.acme, http=http), replace(two_tenants.rival, http=http)


def administrate(tenant: Tenant, path: str, **body: Any) -> Any:
    url = f"/admin/v1/tenants/{tenant.slug}/principals/{path}"
    answer = tenant.http.post(url, json=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def delegations_of(tenant: Tenant, token: str) -> list[UUID]:
    """The delegations that a token rests on."""
    found = "SELECT delegation_ids FROM tokens WHERE tenant_id = :tenant AND jti = :jti"
    [(ids,)] = tenant.sql(found, jti=claims_in(token)["jti"])
    return list(ids)


@pytest.fixture
def tenants(two_tenants: TwoTenants, tmp_path: Path) -> Iterator[tuple[Tenant, Tenant]]:
    two_tenants.clock.now = datetime.now(UTC)
    with served(two_tenants, tmp_path / "said") as both:
        yield both


def at_the_next_second(two_tenants: TwoTenants) -> None:
    """Go on a second after the cut: tokens tell their time in whole seconds."""
    cut = int(datetime.now(UTC).timestamp())
    wait_until(lambda: int(datetime.now(UTC).timestamp()) > cut, SECONDS)
    two_tenants.clock.now = datetime.now(UTC)


@pytest.mark.promise(1)
def test_an_agent_that_was_suspended_goes_on_with_the_same_client_and_delegation_and_with_no_old_token(
    two_tenants: TwoTenants, tenants: tuple[Tenant, Tenant]
) -> None:
    acme, rival = tenants
    bot = acme.agent("ocr-bot")
    with rival.tx() as tx:  # the twin has the same ids, and more to restore
        let_act(tx, rival.agent("ocr-bot").id, None, subject_id=rival.seeded.sam)
    theirs, old = rival.task_token("ocr-bot"), acme.task_token("ocr-bot")
    assert administrate(acme, f"{bot.id}/suspend", credentials="keep", reason="investigation")["is_held"] is True
    assert not acme.is_live(old)
    assert acme.exchange("ocr-bot").status_code == 401
    answer = administrate(acme, f"{bot.id}/reactivate", reason="investigation closed")
    assert answer["restored"] == {"clients": [bot.client_id], "delegations": 1, "has_more_delegations": False}
    at_the_next_second(two_tenants)
    new = acme.task_token("ocr-bot")
    assert (acme.is_live(new), acme.is_live(old)) == (True, False)
    assert claims_in(new)["client_id"] == claims_in(old)["client_id"] == bot.client_id
    assert delegations_of(acme, new) == delegations_of(acme, old) == [acme.seeded.delegations["ocr-bot"]]
    assert claims_in(new)["txn"] != claims_in(old)["txn"], "its tasks ended"
    assert rival.is_live(theirs)


@pytest.mark.promise(1)
@pytest.mark.parametrize("before", [[], ["keep"]])
def test_after_a_suspension_that_revokes_a_reactivation_brings_nothing_back(
    two_tenants: TwoTenants, tenants: tuple[Tenant, Tenant], before: list[str]
) -> None:
    acme, rival = tenants
    bot = acme.agent("ocr-bot")
    theirs, old = rival.task_token("ocr-bot"), acme.task_token("ocr-bot")
    for credentials in [*before, "revoke"]:
        administrate(acme, f"{bot.id}/suspend", credentials=credentials)
    assert not acme.is_live(old)
    answer = administrate(acme, f"{bot.id}/reactivate")
    nothing = {"clients": [], "delegations": 0, "has_more_delegations": False}
    assert (answer["state"], answer["restored"]) == ("active", nothing)
    at_the_next_second(two_tenants)
    assert acme.exchange("ocr-bot").status_code == 401
    assert not acme.is_live(old)
    assert (rival.is_live(theirs), rival.exchange("ocr-bot").status_code) == (True, 200)
