"""The states of a principal. Everything that affects this machine lives in this file."""

from dataclasses import dataclass
from enum import StrEnum

from identity.model.errors import Conflict


class State(StrEnum):
    """Only ``active`` permits anything; every other state, known or not, means dead."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEPROVISIONED = "deprovisioned"
    DELETED = "deleted"


class Transition(StrEnum):
    """What can befall a principal.

    ``suspend``, ``suspend_and_revoke`` and ``reactivate`` are an administrator's: the first two hold a principal, the
    last lets it go. ``abandon`` is what happens to an agent that nobody active answers for; ``restore`` is its source
    saying that it is active again, which lets go nobody whom an administrator holds.
    """

    SUSPEND = "suspend"
    SUSPEND_AND_REVOKE = "suspend_and_revoke"
    SUSPEND_UNOWNED = "abandon"
    DEPROVISION = "deprovision"
    SOURCE_REACTIVATE = "restore"
    REACTIVATE = "reactivate"
    DELETE = "delete"


class Credentials(StrEnum):
    """Whether the clients and delegations of a suspended principal come back with it, or end for good."""

    KEEP = "keep"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Restored:
    """What lives again with a reactivated principal: clients by id, delegations by number.

    ``has_more_delegations`` when as many were looked at as may be, so that more may live again.
    """

    clients: tuple[str, ...] = ()
    delegations: int = 0
    has_more_delegations: bool = False


NOTHING_RESTORED = Restored()

TRANSITIONS: dict[State, dict[Transition, State]] = {
    State.ACTIVE: {
        Transition.SUSPEND: State.SUSPENDED,
        Transition.SUSPEND_AND_REVOKE: State.SUSPENDED,
        Transition.SUSPEND_UNOWNED: State.SUSPENDED,
        Transition.DEPROVISION: State.DEPROVISIONED,
        Transition.SOURCE_REACTIVATE: State.ACTIVE,
        Transition.REACTIVATE: State.ACTIVE,
        Transition.DELETE: State.DELETED,
    },
    State.SUSPENDED: {
        Transition.SUSPEND: State.SUSPENDED,
        Transition.SUSPEND_AND_REVOKE: State.SUSPENDED,
        Transition.SUSPEND_UNOWNED: State.SUSPENDED,
        Transition.DEPROVISION: State.DEPROVISIONED,
        Transition.SOURCE_REACTIVATE: State.SUSPENDED,
        Transition.REACTIVATE: State.ACTIVE,
        Transition.DELETE: State.DELETED,
    },
    State.DEPROVISIONED: {
        Transition.SUSPEND: State.DEPROVISIONED,  # held already: the source may say otherwise tomorrow
        Transition.SUSPEND_AND_REVOKE: State.DEPROVISIONED,
        Transition.DEPROVISION: State.DEPROVISIONED,
        Transition.SOURCE_REACTIVATE: State.ACTIVE,
        Transition.REACTIVATE: State.ACTIVE,
        Transition.DELETE: State.DELETED,
    },
    State.DELETED: {},
}

SUSPENSIONS = {Credentials.KEEP: Transition.SUSPEND, Credentials.REVOKE: Transition.SUSPEND_AND_REVOKE}
"""The verb of an administrator's suspension."""

CUTS = frozenset({*SUSPENSIONS.values(), Transition.SUSPEND_UNOWNED, Transition.DEPROVISION, Transition.DELETE})
"""Verbs that raise the epoch: no token and no task from before lives on, nor is ever revived."""

ENDS = CUTS - {Transition.SUSPEND}
"""Verbs that raise the end counter besides: no delegation and no client from before is ever good again. A suspension
that keeps them only holds them, until the principal is reactivated."""


HOLDS = {Transition.SUSPEND: True, Transition.SUSPEND_AND_REVOKE: True, Transition.REACTIVATE: False}
"""Verbs that begin and end a hold. Whoever is held is active under no other verb, whatever its source says."""


def next_hold(is_held: bool, verb: Transition) -> bool:
    """Return whether an administrator holds a principal after ``verb``."""
    return HOLDS.get(verb, is_held)


def next_state(state: State, verb: Transition, *, is_held: bool = False) -> State:
    """Return the state after ``verb``. Doing it twice is doing it once. Raises ``Conflict``."""
    try:
        reached = TRANSITIONS[state][verb]
        return State.SUSPENDED if reached is State.ACTIVE and next_hold(is_held, verb) else reached
    except KeyError:
        raise Conflict(f"a {state} principal cannot {verb}", reason=f"{verb}_from_{state}") from None
