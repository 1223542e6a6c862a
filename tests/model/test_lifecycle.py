"""The states of a principal: every transition is in the table, and every other one raises."""

from itertools import product

import pytest

from identity.model.errors import Conflict
from identity.model.lifecycle import CUTS, TRANSITIONS, State, Verb, next_state

LEGAL = {(state, verb) for state, verbs in TRANSITIONS.items() for verb in verbs}
ILLEGAL = sorted(set(product(State, Verb)) - LEGAL)


@pytest.mark.parametrize(("state", "verb"), ILLEGAL)
def test_what_is_not_in_the_table_is_refused(state: State, verb: Verb) -> None:
    with pytest.raises(Conflict) as refusal:
        next_state(state, verb)
    assert refusal.value.reason == f"{verb}_from_{state}"


@pytest.mark.parametrize(("state", "verb"), sorted(LEGAL))
def test_doing_it_twice_is_doing_it_once(state: State, verb: Verb) -> None:
    once = next_state(state, verb)
    if once is not State.DELETED:
        assert next_state(once, verb) is once


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)


def test_only_reactivation_leads_back_to_active_and_nothing_leads_out_of_deleted() -> None:
    assert {verb for state, verb in LEGAL if next_state(state, verb) is State.ACTIVE} == {Verb.REACTIVATE}
    assert TRANSITIONS[State.DELETED] == {}
    assert all(next_state(state, Verb.DELETE) is State.DELETED for state in State if state is not State.DELETED)


def test_every_verb_that_takes_life_cuts() -> None:
    assert {verb for state, verb in LEGAL if next_state(state, verb) is not State.ACTIVE} == CUTS
