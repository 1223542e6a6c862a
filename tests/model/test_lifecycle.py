"""The states of a principal: every transition is in the table, and every other one raises."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model.errors import Conflict
from identity.model.lifecycle import (
    CUTS,
    ENDS,
    SUSPENSIONS,
    TRANSITIONS,
    Credentials,
    State,
    Transition,
    next_hold,
    next_state,
)

LEGAL = {(state, verb) for state, verbs in TRANSITIONS.items() for verb in verbs}
ILLEGAL = sorted(set(product(State, Transition)) - LEGAL)


@pytest.mark.parametrize(("state", "verb"), ILLEGAL)
def test_what_is_not_in_the_table_is_refused(state: State, verb: Transition) -> None:
    with pytest.raises(Conflict) as refusal:
        next_state(state, verb)
    assert refusal.value.reason == f"{verb}_from_{state}"


@pytest.mark.parametrize(("state", "verb"), sorted(LEGAL))
def test_doing_it_twice_is_doing_it_once(state: State, verb: Transition) -> None:
    once = next_state(state, verb)
    if once is not State.DELETED:
        assert next_state(once, verb) is once


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)


def test_only_an_administrator_or_the_source_leads_back_to_active_and_nothing_leads_out_of_deleted() -> None:
    back = {(state, verb) for state, verb in LEGAL if next_state(state, verb) is State.ACTIVE} - {
        (State.ACTIVE, verb) for verb in Transition
    }
    assert back == {
        (State.SUSPENDED, Transition.REACTIVATE),
        (State.DEPROVISIONED, Transition.REACTIVATE),
        (State.DEPROVISIONED, Transition.SOURCE_REACTIVATE),
    }
    assert TRANSITIONS[State.DELETED] == {}
    assert all(next_state(state, Transition.DELETE) is State.DELETED for state in State if state is not State.DELETED)


def test_every_verb_that_takes_life_cuts() -> None:
    assert {verb for verb in TRANSITIONS[State.ACTIVE] if next_state(State.ACTIVE, verb) is not State.ACTIVE} == CUTS


@pytest.mark.parametrize("state", State)
def test_both_suspensions_lead_to_the_same_state(state: State) -> None:
    verbs = TRANSITIONS[state]
    assert verbs.get(Transition.SUSPEND) is verbs.get(Transition.SUSPEND_AND_REVOKE)


def test_of_all_cuts_a_suspension_that_keeps_credentials_is_the_only_one_that_ends_none() -> None:
    assert {SUSPENSIONS[Credentials.KEEP]} == CUTS - ENDS
    assert SUSPENSIONS.keys() == set(Credentials)


def reached(*verbs: Transition) -> tuple[State, bool]:
    """What an active principal is after one verb after the other, and whether it is held."""
    state, is_held = State.ACTIVE, False
    for verb in verbs:
        state, is_held = next_state(state, verb, is_held=is_held), next_hold(is_held, verb)
    return state, is_held


@pytest.mark.parametrize(
    ("verbs", "state", "is_held"),
    [
        ((Transition.SUSPEND,), State.SUSPENDED, True),
        ((Transition.SUSPEND, Transition.SOURCE_REACTIVATE), State.SUSPENDED, True),
        ((Transition.SUSPEND_AND_REVOKE, Transition.SOURCE_REACTIVATE), State.SUSPENDED, True),
        ((Transition.SUSPEND_AND_REVOKE, Transition.REACTIVATE), State.ACTIVE, False),
        ((Transition.DEPROVISION, Transition.SUSPEND_AND_REVOKE, Transition.SOURCE_REACTIVATE), State.SUSPENDED, True),
        ((Transition.SUSPEND, Transition.DEPROVISION), State.DEPROVISIONED, True),
        ((Transition.SUSPEND, Transition.DEPROVISION, Transition.SOURCE_REACTIVATE), State.SUSPENDED, True),
        ((Transition.DEPROVISION, Transition.SUSPEND, Transition.SOURCE_REACTIVATE), State.SUSPENDED, True),
        ((Transition.SUSPEND, Transition.REACTIVATE), State.ACTIVE, False),
        ((Transition.SUSPEND, Transition.DEPROVISION, Transition.REACTIVATE), State.ACTIVE, False),
        (
            (Transition.SUSPEND, Transition.REACTIVATE, Transition.DEPROVISION, Transition.SOURCE_REACTIVATE),
            State.ACTIVE,
            False,
        ),
        ((Transition.SUSPEND_UNOWNED,), State.SUSPENDED, False),
        ((Transition.SUSPEND_UNOWNED, Transition.SOURCE_REACTIVATE), State.SUSPENDED, False),
        (
            (Transition.SUSPEND_UNOWNED, Transition.SUSPEND, Transition.DEPROVISION, Transition.SOURCE_REACTIVATE),
            State.SUSPENDED,
            True,
        ),
        ((Transition.DEPROVISION, Transition.SOURCE_REACTIVATE), State.ACTIVE, False),
    ],
)
def test_whom_an_administrator_holds_only_an_administrator_lets_go(
    verbs: tuple[Transition, ...], state: State, is_held: bool
) -> None:
    assert reached(*verbs) == (state, is_held)


@given(
    st.lists(st.sampled_from([verb for verb in Transition if verb not in (Transition.REACTIVATE, Transition.DELETE)]))
)
def test_nothing_that_is_not_an_administrators_ends_a_hold(verbs: list[Transition]) -> None:
    state = State.SUSPENDED
    for verb in verbs:
        if verb in TRANSITIONS[state]:
            state = next_state(state, verb, is_held=True)
        assert state is not State.ACTIVE
