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
    """What can happen to a principal.

    ``suspend``, ``suspend_and_revoke`` and ``reactivate`` are an administrator's: the first two begin a hold, the last
    ends it. ``abandon`` suspends an agent without an active owner. ``restore`` is the principal's source, which says
    that it is active again; that ends no hold of an administrator.
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
    """The credentials that a reactivation restored: clients by id, delegations by number.

    ``has_more_delegations`` when the delegations were counted up to the limit, so that more may be restored.
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
        # No change, so that a source may repeat itself. An agent that has lost its last owner is suspended instead.
        Transition.SOURCE_REACTIVATE: State.ACTIVE,
        Transition.REACTIVATE: State.ACTIVE,
        Transition.DELETE: State.DELETED,
    },
    State.SUSPENDED: {
        Transition.SUSPEND: State.SUSPENDED,  # begins a hold where the suspension was for want of an owner
        Transition.SUSPEND_AND_REVOKE: State.SUSPENDED,  # ends the credentials that an earlier suspension kept
        Transition.SUSPEND_UNOWNED: State.SUSPENDED,
        # A hold lasts through this: the principal is deprovisioned and held.
        Transition.DEPROVISION: State.DEPROVISIONED,
        # A source undoes its own deprovisioning only. A suspension is an administrator's, or for want of an owner, and
        # a source that repeats itself must not undo either.
        Transition.SOURCE_REACTIVATE: State.SUSPENDED,
        Transition.REACTIVATE: State.ACTIVE,
        Transition.DELETE: State.DELETED,
    },
    State.DEPROVISIONED: {
        # The state stays, and the hold begins: the source may reactivate the principal tomorrow.
        Transition.SUSPEND: State.DEPROVISIONED,
        Transition.SUSPEND_AND_REVOKE: State.DEPROVISIONED,
        # SUSPEND_UNOWNED is illegal here. It would turn the end that the source has ordered into a suspension, which
        # the source cannot undo; and a deprovisioned agent needs no owner. Its callers look at active agents only.
        Transition.DEPROVISION: State.DEPROVISIONED,
        # A held principal becomes suspended: see ``next_state``.
        Transition.SOURCE_REACTIVATE: State.ACTIVE,
        # An administrator may overrule the source; the next change of the source's mind overrules the administrator.
        Transition.REACTIVATE: State.ACTIVE,
        Transition.DELETE: State.DELETED,
    },
    State.DELETED: {},  # for good: the id is never used again
}

SUSPENSIONS = {Credentials.KEEP: Transition.SUSPEND, Credentials.REVOKE: Transition.SUSPEND_AND_REVOKE}
"""The transition of an administrator's suspension."""

CUTS = frozenset({*SUSPENSIONS.values(), Transition.SUSPEND_UNOWNED, Transition.DEPROVISION, Transition.DELETE})
"""Transitions that raise the epoch: no token and no task from before is valid again, whatever follows."""

ENDS = CUTS - {Transition.SUSPEND}
"""Transitions that raise the end counter besides: no delegation and no client from before is valid again. A suspension
that keeps them only holds them, until the principal is reactivated."""

HOLDS = {Transition.SUSPEND: True, Transition.SUSPEND_AND_REVOKE: True, Transition.REACTIVATE: False}
"""Transitions that begin and end a hold. No other transition makes a held principal active."""

PARTICIPLES = {
    **dict.fromkeys((*SUSPENSIONS.values(), Transition.SUSPEND_UNOWNED), "suspended"),
    **dict.fromkeys((Transition.SOURCE_REACTIVATE, Transition.REACTIVATE), "reactivated"),
    Transition.DEPROVISION: "deprovisioned",
    Transition.DELETE: "deleted",
}
"""The second part of an event's type."""


def participle_of(verb: Transition, reached: State, *, is_held: bool) -> str:
    """Return the second part of the type of the event of a transition that reached a state.

    A source may reactivate a principal that stays suspended: one that is held, or an agent that has lost its owners.
    """
    if verb is Transition.SOURCE_REACTIVATE and reached is not State.ACTIVE:
        return "held" if is_held else PARTICIPLES[Transition.SUSPEND_UNOWNED]
    return PARTICIPLES[verb]


def next_hold(is_held: bool, verb: Transition) -> bool:
    """Return whether an administrator holds a principal after ``verb``."""
    return HOLDS.get(verb, is_held)


def next_state(state: State, verb: Transition, *, is_held: bool = False) -> State:
    """Return the state after ``verb``; a held principal is suspended where it would be active.

    Doing it twice is doing it once. Raises ``Conflict`` for a transition that is not in the table.
    """
    try:
        reached = TRANSITIONS[state][verb]
        return State.SUSPENDED if reached is State.ACTIVE and next_hold(is_held, verb) else reached
    except KeyError:
        raise Conflict(f"a {state} principal cannot {verb}", reason=f"{verb}_from_{state}") from None
