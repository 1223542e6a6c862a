"""A decision costs the same in a large tenant: it reads what it is about and nothing else."""

from collections.abc import Callable

import pytest

from identity.store.transaction import make_engine
from tests.conftest import Server
from tests.fixtures import TwoTenants
from tests.growth import LARGE, NEW_ID, PERSON, SMALL, grow, keep_first_plans, look, read_again_until, rows_read

WARM_UP = 4
MORE = 20  # Sam has not got more memberships or tokens, but the trees of the indexes may be a level deeper


def let_everything_grow(two_tenants: TwoTenants, numbers: range) -> None:
    tenant, engine = (
        two_tenants.acme.seeded,
        make_engine(two_tenants.runtime.engine.url.render_as_string(hide_password=False)),
    )
    grow(engine, tenant.id, "principals", f"id = '{tenant.sam}'", numbers,
         id=PERSON, name="'p' || n", name_key="'p' || n", external_id="'p' || n")  # fmt: skip
    with_members = f"group_id = '{tenant.finance}' AND member_id = '{tenant.sam}'"
    grow(engine, tenant.id, "group_members", with_members, numbers, member_id=PERSON)
    grow(engine, tenant.id, "tasks", "true", numbers, txn=NEW_ID)
    grow(engine, tenant.id, "tokens", "true", numbers, jti=NEW_ID)
    grow(engine, tenant.id, "clients", f"client_id = '{tenant.erp.client_id}'", numbers, client_id="'client-' || n")
    engine.dispose()


@pytest.mark.promise(10)
@pytest.mark.parametrize("what", ["exchange", "handing on", "introspection", "a token for itself"])
def test_what_a_decision_reads_does_not_grow_with_the_tenant(
    server: Server, two_tenants: TwoTenants, what: str
) -> None:
    acme, engine = two_tenants.acme, two_tenants.runtime.engine
    keep_first_plans(server, engine)
    task = acme.task_token()
    asks: dict[str, Callable[[], object]] = {
        "exchange": acme.task_token,
        "handing on": lambda: acme.task_token("ocr-bot", task),
        "introspection": lambda: acme.introspect(task),
        "a token for itself": lambda: acme.own_token("ocr-bot", resource="https://erp.example"),
    }
    let_everything_grow(two_tenants, range(SMALL))
    look(server, engine)
    for _ in range(WARM_UP):
        asks[what]()
    with rows_read(engine) as before:
        asks[what]()
    let_everything_grow(two_tenants, range(SMALL, LARGE))
    most = sum(before) + MORE
    assert read_again_until(engine, asks[what], most) <= most
