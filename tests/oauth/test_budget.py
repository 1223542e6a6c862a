"""What a request costs in round trips to the database, BEGIN and COMMIT included; and that growth costs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from tests.fixtures import AGENTS, Tenant, TwoTenants


@contextmanager
def statements(two_tenants: TwoTenants) -> Iterator[list[str]]:
    """Every round trip of the block."""
    sent: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    sqlalchemy_event.listen(two_tenants.runtime.engine, "before_cursor_execute", count)
    yield sent
    sqlalchemy_event.remove(two_tenants.runtime.engine, "before_cursor_execute", count)


def warmed(two_tenants: TwoTenants) -> tuple[Tenant, list[str]]:
    tokens = two_tenants.acme.chain(*AGENTS)
    two_tenants.acme.own_token("ocr-bot")
    two_tenants.acme.is_live(tokens[0])
    return two_tenants.acme, tokens


@pytest.mark.promise(10)
def test_an_exchange_takes_at_most_five_round_trips_however_long_the_chain(two_tenants: TwoTenants) -> None:
    acme, tokens = warmed(two_tenants)
    for name, parent in zip(AGENTS, [None, *tokens[:3]], strict=True):
        with statements(two_tenants) as sent:
            acme.task_token(name, parent)
        assert len(sent) <= 5, sent
        assert len(sent) == 5  # BEGIN, read, lock, write, COMMIT


@pytest.mark.promise(10)
def test_introspection_takes_at_most_three_round_trips(two_tenants: TwoTenants) -> None:
    acme, tokens = warmed(two_tenants)
    for token in (tokens[0], tokens[3], "rubbish"):
        for client in (acme.seeded.erp, acme.agent("invoice-bot")):  # by secret, and by an assertion that is spent
            with statements(two_tenants) as sent:
                acme.introspect(token, client)
            assert len(sent) <= 3, sent


@pytest.mark.promise(10)
def test_a_token_for_itself_takes_at_most_five_round_trips_and_discovery_none(two_tenants: TwoTenants) -> None:
    acme, _ = warmed(two_tenants)
    with statements(two_tenants) as sent:
        acme.own_token("ocr-bot")
    assert len(sent) <= 5, sent
    with statements(two_tenants) as sent:
        acme.http.get("/t/acme/.well-known/openid-configuration")
    assert sent == []
    with statements(two_tenants) as sent:
        acme.http.get("/t/acme/jwks")
    assert len(sent) <= 3


@pytest.mark.promise(10)
def test_the_size_of_the_group_changes_neither_number_nor_reach_of_the_statements(two_tenants: TwoTenants) -> None:
    acme, _ = warmed(two_tenants)
    with statements(two_tenants) as small:
        acme.task_token()
    acme.sql(
        """
        WITH people AS (
            INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at)
            SELECT :tenant, gen_random_uuid(), 'user', 'active', 'p' || n, 'p' || n, '{}', now(), now()
              FROM generate_series(1, 10000) AS n RETURNING id)
        INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
        SELECT :tenant, :finance, id, now() FROM people""",
        finance=acme.seeded.finance,
    )
    with statements(two_tenants) as large:
        acme.task_token()
    assert small == large
    (plan,) = acme.sql(
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT m.group_id FROM group_members m"
        " WHERE m.tenant_id = :tenant AND m.member_id = :sam",
        sam=acme.seeded.sam,
    )
    assert plan[0][0]["Plan"]["Actual Rows"] == 1
