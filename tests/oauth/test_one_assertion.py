"""One assertion, one authentication: whatever becomes of the request that it proved (RFC 7523 §3, jti)."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.fixtures import ASSERTION_TYPE, ERP, EXCHANGE, TYPE, Tenant

USES = 16
ROUNDS = int(os.environ.get("IDENTITY_PROVE_ASSERTIONS", "10"))


def ask(acme: Tenant, assertion: str, scope: str | None) -> httpx2.Response:
    form = {"scope": scope} if scope else {}
    return acme.ask(
        None,
        grant_type=EXCHANGE,
        subject_token=acme.id_token(),
        subject_token_type=f"{TYPE}id_token",
        resource=ERP,
        client_assertion_type=ASSERTION_TYPE,
        client_assertion=assertion,
        **form,
    )


@pytest.mark.promise(9)
@pytest.mark.timeout(60 + 2 * ROUNDS)
@pytest.mark.parametrize("scopes", [[None], ["more.than.held"], [None, "more.than.held"]])
def test_of_many_uses_at_once_one_is_authenticated(acme: Tenant, scopes: list[str | None]) -> None:
    with ThreadPoolExecutor(USES) as threads:
        for _ in range(ROUNDS):
            assertion = acme.agent().assertion(acme.issuer, acme.now)
            asked = [scopes[number % len(scopes)] for number in range(USES)]
            answers = list(threads.map(lambda scope: ask(acme, assertion, scope), asked))  # noqa: B023
            statuses = Counter(answer.status_code for answer in answers)
            assert statuses[401] == USES - 1, statuses


@pytest.mark.promise(9)
def test_a_refused_request_spends_its_assertion_in_the_transaction_of_its_event(acme: Tenant) -> None:
    assertion = acme.agent().assertion(acme.issuer, acme.now)
    assert ask(acme, assertion, "more.than.held").status_code == 400
    assert acme.last_event().event.reason == "scope_exceeded"
    same = (
        "SELECT count(*) FROM used_assertions u JOIN events e ON e.tenant_id = u.tenant_id AND e.xmin = u.xmin"
        " WHERE u.tenant_id = :tenant AND e.type = 'oauth.refused'"
    )
    assert acme.sql(same)[0][0] == 1
    assert ask(acme, assertion, None).status_code == 401


@pytest.mark.promise(9)
def test_an_assertion_that_proves_nothing_is_not_spent(acme: Tenant) -> None:
    good = acme.agent().assertion(acme.issuer, acme.now)
    assert ask(acme, good[:-6] + "AAAAAA", None).status_code == 401
    assert acme.sql("SELECT count(*) FROM used_assertions WHERE tenant_id = :tenant")[0][0] == 0
    assert ask(acme, good, None).status_code == 200
