"""An agent that lost its last owner is not active, in whatever order and at whoever's word it loses it."""

import pytest

from identity.actions.principals import protect, reactivate
from identity.model.errors import Conflict
from identity.model.lifecycle import State, Transition
from identity.model.principal import Kind
from tests.actions.sources import Source, state, told, work
from tests.fixtures import ADMINISTRATOR, Tenant

NONE: frozenset[object] = frozenset()
STEPS = {
    "owners removed": [{"owners": NONE}],
    "owners removed and said to be active": [{"owners": NONE, "active": True}],
    "deprovisioned, then owners removed and said to be active": [{"active": False}, {"owners": NONE, "active": True}],
    "deprovisioned, owners removed, then said to be active": [{"active": False}, {"owners": NONE}, {"active": True}],
    "owners removed, deprovisioned, then said to be active": [{"owners": NONE}, {"active": False}, {"active": True}],
}


@pytest.mark.promise(1)
@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.SERVICE_ACCOUNT])
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_no_order_of_changes_leaves_an_agent_active_that_has_lost_its_owners(
    source: Source, acme: Tenant, steps: list[dict[str, object]], kind: Kind
) -> None:
    agent = source.create(kind, "bot", owners=frozenset({source.user("pat")}))
    for step in steps:
        source.amend(kind, agent, **step)
    assert state(acme, agent) is State.SUSPENDED
    work(acme)
    assert state(acme, agent) is State.SUSPENDED
    assert told(acme, agent)[-1] == f"{kind}.suspended" or len(steps) == 1


def test_an_agent_that_never_had_an_owner_follows_its_source(source: Source, acme: Tenant) -> None:
    agent = source.agent("bot")
    for active, expected in ((False, State.DEPROVISIONED), (True, State.ACTIVE)):
        source.amend(Kind.AGENT, agent, active=active)
        assert state(acme, agent) is expected


def test_an_owner_brings_it_back_at_its_source_s_word(source: Source, acme: Tenant) -> None:
    pat = source.user("pat")
    agent = source.agent("bot", pat)
    source.amend(Kind.AGENT, agent, active=False)
    source.amend(Kind.AGENT, agent, owners=NONE)
    source.amend(Kind.AGENT, agent, owners=frozenset({pat}), active=True)
    assert state(acme, agent) is State.ACTIVE


def test_an_administrator_reactivates_it_only_when_the_administrator_answers_for_it(
    source: Source, acme: Tenant
) -> None:
    agent = source.agent("bot", source.user("pat"))
    source.amend(Kind.AGENT, agent, owners=NONE)
    acme.befall(agent, Transition.SUSPEND)
    with pytest.raises(Conflict) as refused, acme.tx() as tx:
        reactivate(tx, agent, reason="test", caller=ADMINISTRATOR, now=acme.now)
    assert refused.value.reason == "no_owner"
    with acme.tx() as tx:
        protect(tx, agent, reason="test", caller=ADMINISTRATOR, now=acme.now)
        reactivate(tx, agent, reason="test", caller=ADMINISTRATOR, now=acme.now)
    assert state(acme, agent) is State.ACTIVE
