"""Shares of something scarce: the tenant with the least goes first, and none takes all."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def has_room(held: int, taken: int, total: int) -> bool:
    """True when a tenant that holds ``held`` of the ``taken`` slots may have one more.

    No tenant holds more slots than it leaves free, so there is always one for a tenant without any. The first tenant
    gets half of all, the next half of the rest. A tenant without any gets the last one, too.
    """
    free = total - taken
    return free > 0 and (held == 0 or held < free)


def next_of(waiting: Sequence[Key], running: Mapping[Key, int], total: int) -> int | None:
    """Return the index, in a queue with the oldest first, of the next to run: of those with room, the one with least.

    None when none may run.
    """
    taken = sum(running.values())
    may = [index for index, key in enumerate(waiting) if has_room(running.get(key, 0), taken, total)]
    return min(may, key=lambda index: running.get(waiting[index], 0), default=None)
