"""What a group permits hangs on its id: another source's group of the same name permits nothing."""

from uuid import uuid4

import pytest

from identity.actions.connections import create_scim_connection
from identity.actions.provisioning import create_principal
from identity.model.access import Caller, CallerKind
from identity.model.connection import Dialect
from identity.model.principal import Kind, Profile
from tests.fixtures import ADMINISTRATOR, Tenant, provision


@pytest.mark.requirement("S16")
@pytest.mark.promise(3)
@pytest.mark.parametrize("name", ["Finance", "finance", "FINANCE", "\uff26inance"])
def test_a_group_of_the_same_name_from_another_source_lets_nobody_act_for_its_members(
    acme: Tenant, rival: Tenant, name: str
) -> None:
    for tenant in (acme, rival):
        with tenant.tx() as tx:
            connection = create_scim_connection(
                tx, name="other", dialect=Dialect.RFC, token=f"token-{uuid4()}", caller=ADMINISTRATOR, now=tenant.now
            )
            source = Caller(CallerKind.CONNECTION, str(connection.id), "request", connection_id=connection.id)
            eve = provision(tx, Kind.USER, "eve")
            group = Profile(document={}, name=name, external_id="ext-Finance")
            create_principal(tx, Kind.GROUP, group, members=frozenset({eve}), caller=source, now=tenant.now)
        assert tenant.exchange("invoice-bot", person="sam").status_code == 200
        assert tenant.exchange("invoice-bot", person="eve").status_code == 400
        assert tenant.last_event().event.reason == "not_delegated"
