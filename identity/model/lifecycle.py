"""The states of a principal. Everything that affects this machine lives in this file."""

from enum import StrEnum

from identity.model.errors import Conflict


class State(StrEnum):
    """Only ``active`` permits anything; every other state, known or not, means dead."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEPROVISIONED = "deprovisioned"
    DELETED = "deleted"


class Verb(StrEnum):
    """What can befall a principal."""

    SUSPEND = "suspend"
    DEPROVISION = "deprovision"
    REACTIVATE = "reactivate"
    DELETE = "delete"


TRANSITIONS: dict[State, dict[Verb, State]] = {
    State.ACTIVE: {
        Verb.SUSPEND: State.SUSPENDED,
        Verb.DEPROVISION: State.DEPROVISIONED,
        Verb.REACTIVATE: State.ACTIVE,
        Verb.DELETE: State.DELETED,
    },
    State.SUSPENDED: {
        Verb.SUSPEND: State.SUSPENDED,
        Verb.DEPROVISION: State.DEPROVISIONED,
        Verb.REACTIVATE: State.ACTIVE,
        Verb.DELETE: State.DELETED,
    },
    State.DEPROVISIONED: {
        Verb.DEPROVISION: State.DEPROVISIONED,
        Verb.REACTIVATE: State.ACTIVE,
        Verb.DELETE: State.DELETED,
    },
    State.DELETED: {},
}

CUTS = frozenset({Verb.SUSPEND, Verb.DEPROVISION, Verb.DELETE})
"""Verbs after which nothing that rests on the principal may live, nor ever be revived."""


def next_state(state: State, verb: Verb) -> State:
    """Return the state after ``verb``. Doing it twice is doing it once. Raises ``Conflict``."""
    try:
        return TRANSITIONS[state][verb]
    except KeyError:
        raise Conflict(f"a {state} principal cannot {verb}", reason=f"{verb}_from_{state}") from None
