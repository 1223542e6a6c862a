"""Whose rows are sent next: by priority, and within one from each tenant in turn."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from identity.model.outbox import LONG, ORDINARY, URGENT

Party = TypeVar("Party", bound=Hashable)

IN_A_ROW_MAX = 3
"""Urgent turns while others wait; then one of these has its turn."""


@dataclass(slots=True)
class ConcurrencyLimiter(Generic[Party]):
    """Who may have rows of which priority, in the order of their turns. A party is added again while it has more."""

    _waiting: dict[int, dict[Party, None]] = field(default_factory=lambda: {URGENT: {}, ORDINARY: {}, LONG: {}})
    _urgent_in_a_row: int = 0
    _was_long: bool = False

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def add(self, priority: int, party: Party) -> None:
        """Give a party a turn, after all others of that priority, unless it waits for one already."""
        self._waiting[priority].setdefault(party)

    def add_all(self, party: Party) -> None:
        """Give a party a turn of each priority: it has rows, of whatever kind."""
        for priority in self._waiting:
            self.add(priority, party)

    def next(self, *, is_idle: bool) -> tuple[int, Party] | None:
        """Return whose turn it is, and take it from the queue; None when there is none.

        Long work has turns only while workers are idle (``is_idle``: nothing waits for them), and then every other one,
        so that neither it nor ordinary rows keep each other out.
        """
        for priority in self._order():
            if self._waiting[priority] and (priority != LONG or is_idle):
                return priority, self._take(priority)
        return None

    def _order(self) -> list[int]:
        others = [ORDINARY, LONG] if self._was_long else [LONG, ORDINARY]
        return [*others, URGENT] if self._urgent_in_a_row >= IN_A_ROW_MAX else [URGENT, *others]

    def _take(self, priority: int) -> Party:
        self._urgent_in_a_row = self._urgent_in_a_row + 1 if priority == URGENT else 0
        self._was_long = priority == LONG if priority != URGENT else self._was_long
        party = next(iter(self._waiting[priority]))
        del self._waiting[priority][party]
        return party
