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
    """What can befall a principal.

    ``suspend`` and ``reactivate`` are an administrator's: the one holds a principal, the other lets it go.
    ``abandon`` is what happens to an agent that nobody active answers for; ``restore`` is its source saying that it is
    active again, which lets go nobody whom an administrator holds.
    """

    SUSPEND = "suspend"
    ABANDON = "abandon"
    DEPROVISION = "deprovision"
    RESTORE = "restore"
    REACTIVATE = "reactivate"
    DELETE = "delete"


TRANSITIONS: dict[State, dict[Verb, State]] = {
    State.ACTIVE: {
        Verb.SUSPEND: State.SUSPENDED,
        Verb.ABANDON: State.SUSPENDED,
        Verb.DEPROVISION: State.DEPROVISIONED,
        Verb.RESTORE: State.ACTIVE,
        Verb.REACTIVATE: State.ACTIVE,
        Verb.DELETE: State.DELETED,
    },
    State.SUSPENDED: {
        Verb.SUSPEND: State.SUSPENDED,
        Verb.ABANDON: State.SUSPENDED,
        Verb.DEPROVISION: State.DEPROVISIONED,
        Verb.RESTORE: State.SUSPENDED,
        Verb.REACTIVATE: State.ACTIVE,
        Verb.DELETE: State.DELETED,
    },
    State.DEPROVISIONED: {
        Verb.SUSPEND: State.DEPROVISIONED,  # held already: the source may say otherwise tomorrow
        Verb.DEPROVISION: State.DEPROVISIONED,
        Verb.RESTORE: State.ACTIVE,
        Verb.REACTIVATE: State.ACTIVE,
        Verb.DELETE: State.DELETED,
    },
    State.DELETED: {},
}

CUTS = frozenset({Verb.SUSPEND, Verb.ABANDON, Verb.DEPROVISION, Verb.DELETE})
"""Verbs that raise the epoch: no token and no task from before lives on, nor is ever revived."""

ENDS = CUTS - {Verb.SUSPEND}
"""Verbs that raise the end counter besides: no delegation and no client from before is ever good again. A suspension
only holds them, until the principal is reactivated."""


HOLDS = {Verb.SUSPEND: True, Verb.REACTIVATE: False}
"""Verbs that begin and end a hold. Whoever is held is active under no other verb, whatever its source says."""


def next_hold(is_held: bool, verb: Verb) -> bool:
    """Return whether an administrator holds a principal after ``verb``."""
    return HOLDS.get(verb, is_held)


def next_state(state: State, verb: Verb, *, is_held: bool = False) -> State:
    """Return the state after ``verb``. Doing it twice is doing it once. Raises ``Conflict``."""
    try:
        reached = TRANSITIONS[state][verb]
        return State.SUSPENDED if reached is State.ACTIVE and next_hold(is_held, verb) else reached
    except KeyError:
        raise Conflict(f"a {state} principal cannot {verb}", reason=f"{verb}_from_{state}") from None
