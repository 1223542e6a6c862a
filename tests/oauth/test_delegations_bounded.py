"""An actor has as many delegations as an exchange looks at: one that was accepted takes effect."""

from uuid import UUID

import pytest

from identity.actions.delegations import end_delegation
from identity.model.delegation import DELEGATIONS_MAX
from identity.model.errors import LimitExceeded
from identity.model.principal import Kind
from tests.fixtures import ADMINISTRATOR, Tenant, access_token, employ, let_act, provision

pytestmark = pytest.mark.promise(8)


def test_the_last_delegation_for_a_group_that_is_accepted_takes_effect_and_one_more_is_refused(
    acme: Tenant, rival: Tenant
) -> None:
    with acme.tx() as tx:
        bot = employ(tx, "bot", acme.seeded.dana)
        person = provision(tx, Kind.USER, "pat")
        empty = [provision(tx, Kind.GROUP, f"group {number}") for number in range(DELEGATIONS_MAX - 1)]
        for group in empty:
            first = let_act(tx, bot.id, group)
        team = provision(tx, Kind.GROUP, "team", members=frozenset({person}))
        let_act(tx, bot.id, team)
    assert access_token(acme.exchange(bot, person="pat"))
    _is_refused(acme, bot.id, team, max_lifetime_s=300)
    end(acme, first)
    with acme.tx() as tx:
        let_act(tx, bot.id, team, max_lifetime_s=300)
    with rival.tx() as tx:
        let_act(tx, rival.agent().id, rival.seeded.finance, max_lifetime_s=300)


def test_an_actor_has_a_bounded_number_of_delegations_for_one_person_at_one_resource(acme: Tenant) -> None:
    with acme.tx() as tx:
        bot = employ(tx, "bot", acme.seeded.dana)
        for seconds in range(1, DELEGATIONS_MAX + 1):
            let_act(tx, bot.id, None, subject_id=acme.seeded.sam, max_lifetime_s=seconds)
    _is_refused(acme, bot.id, None, subject_id=acme.seeded.sam, max_lifetime_s=300)
    with acme.tx() as tx:
        let_act(tx, bot.id, None, subject_id=acme.seeded.dana)


def _is_refused(tenant: Tenant, actor_id: UUID, group_id: UUID | None, **changed: object) -> None:
    with pytest.raises(LimitExceeded, match="at most 100 delegations"), tenant.tx() as tx:
        let_act(tx, actor_id, group_id, **changed)


def end(tenant: Tenant, delegation_id: UUID) -> None:
    with tenant.tx() as tx:
        end_delegation(tx, delegation_id, caller=ADMINISTRATOR, now=tenant.now)
