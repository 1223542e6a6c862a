"""The order in which rows are sent: by priority, and within one priority from each tenant in turn."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from identity.model.outbox import LONG, ORDINARY, URGENT

Member = TypeVar("Member", bound=Hashable)

URGENT_IN_A_ROW_MAX = 3
"""Urgent turns while others wait; then one of these has its turn."""


@dataclass(slots=True)
class RoundRobin(Generic[Member]):
    """Members that have rows, by priority, in the order of their turns. A member with more rows is added again."""

    _waiting: dict[int, dict[Member, None]] = field(default_factory=lambda: {URGENT: {}, ORDINARY: {}, LONG: {}})
    _urgent_in_a_row: int = 0
    _was_long: bool = False

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def add(self, priority: int, member: Member) -> None:
        """Put a member behind all others of that priority, unless it waits there already."""
        self._waiting[priority].setdefault(member)

    def add_all(self, member: Member) -> None:
        """Put a member behind all others of each priority: it has rows, of whatever kind."""
        for priority in self._waiting:
            self.add(priority, member)

    def next(self, *, is_idle: bool) -> tuple[int, Member] | None:
        """Take the next turn from the queue: a priority and a member; None when no member may have one.

        Long work has turns only while workers are idle (``is_idle``: nothing waits for them), and then every other one,
        so that neither it nor ordinary rows keep each other out.
        """
        for priority in self._order():
            if self._waiting[priority] and (priority != LONG or is_idle):
                return priority, self._take(priority)
        return None

    def _order(self) -> list[int]:
        others = [ORDINARY, LONG] if self._was_long else [LONG, ORDINARY]
        return [*others, URGENT] if self._urgent_in_a_row >= URGENT_IN_A_ROW_MAX else [URGENT, *others]

    def _take(self, priority: int) -> Member:
        self._urgent_in_a_row = self._urgent_in_a_row + 1 if priority == URGENT else 0
        self._was_long = priority == LONG if priority != URGENT else self._was_long
        member = next(iter(self._waiting[priority]))
        del self._waiting[priority][member]
        return member
