"""The order in which rows are sent: by priority, and within one priority from each tenant in turn."""

from dataclasses import dataclass, field

from identity.model.ids import TenantId
from identity.model.outbox import LONG, ORDINARY, URGENT

URGENT_IN_A_ROW_MAX = 3
"""Urgent turns while others wait; then one of these has its turn."""


@dataclass(slots=True)
class RoundRobin:
    """Tenants that have rows, by priority, in the order of their turns. A tenant with more rows is added again."""

    _waiting: dict[int, dict[TenantId, None]] = field(default_factory=lambda: {URGENT: {}, ORDINARY: {}, LONG: {}})
    _urgent_in_a_row: int = 0
    _was_long: bool = False

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def add(self, priority: int, tenant_id: TenantId) -> None:
        """Put a tenant behind all others of that priority, unless it waits there already."""
        self._waiting[priority].setdefault(tenant_id)

    def add_all(self, tenant_id: TenantId) -> None:
        """Put a tenant behind all others of each priority: it has rows, of whatever kind."""
        for priority in self._waiting:
            self.add(priority, tenant_id)

    def next(self, *, is_idle: bool) -> tuple[int, TenantId] | None:
        """Take the next turn from the queue: a priority and a tenant; None when no tenant may have one.

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

    def _take(self, priority: int) -> TenantId:
        self._urgent_in_a_row = self._urgent_in_a_row + 1 if priority == URGENT else 0
        self._was_long = priority == LONG if priority != URGENT else self._was_long
        tenant_id = next(iter(self._waiting[priority]))
        del self._waiting[priority][tenant_id]
        return tenant_id
