"""Whose turn it is, where several want more than there is: whoever has least comes first, and nobody takes all."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Party = TypeVar("Party", bound=Hashable)


def has_room(mine: int, taken: int, places: int) -> bool:
    """True when somebody who holds ``mine`` of the ``taken`` places may have one more.

    Nobody holds more than is left free behind it, so there is always a place for who has none: one alone gets half of
    all, the next half of the rest. Who has none gets the last one, too.
    """
    free = places - taken
    return free > 0 and (mine == 0 or mine < free)


def next_of(waiting: Sequence[Party], running: Mapping[Party, int], places: int) -> int | None:
    """Return the index of who of those ``waiting``, longest first, begins now: of those who may, who has least going.

    None when nobody may.
    """
    taken = sum(running.values())
    may = [index for index, party in enumerate(waiting) if has_room(running.get(party, 0), taken, places)]
    return min(may, key=lambda index: running.get(waiting[index], 0), default=None)
