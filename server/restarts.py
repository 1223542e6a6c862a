"""When a program that has ended is started again: at once, or after growing pauses where it keeps ending."""

from dataclasses import dataclass, field

FORGOTTEN_AFTER_S = 60.0
"""A program that ran for so long has started well, however often it had ended before."""

LIVED_S = 10.0
PAUSE_MAX_S = 10.0
SHORT_PAUSE_MAX_S = 2.0
ENDS_MAX = 5
"""Ends in a row after which a program that never worked cannot start."""


@dataclass
class Restarts:
    """How often each program has ended in a row. Times are seconds of one clock."""

    first_pause_s: float = 0.5
    ends: dict[str, int] = field(default_factory=dict)
    started_at: dict[str, float] = field(default_factory=dict)
    lived: set[str] = field(default_factory=set)
    """Programs that worked at least once."""

    def note_start(self, name: str, now: float) -> None:
        """Remember when a program was started."""
        self.started_at[name] = now

    def note_life(self, name: str) -> None:
        """Remember that a program works."""
        self.lived.add(name)

    def note_end(self, name: str, now: float) -> int:
        """Count an end, and return how many there were since it last ran for a minute."""
        ran_s = now - self.started_at.get(name, now)
        if ran_s >= LIVED_S:
            self.lived.add(name)
        before = 0 if ran_s >= FORGOTTEN_AFTER_S else self.ends.get(name, 0)
        self.ends[name] = before + 1
        return self.ends[name]

    def cannot_start(self, name: str) -> bool:
        """True when it ended time and again, and never worked."""
        return name not in self.lived and self.ends.get(name, 0) >= ENDS_MAX

    def pause_s(self, ends: int, *, is_needed: bool = False) -> float:
        """Return how long to wait after that many ends: not at all, then twice as long each time, up to a limit.

        The limit is short for a program that others need (``is_needed``).
        """
        longest_s = SHORT_PAUSE_MAX_S if is_needed else PAUSE_MAX_S
        return 0.0 if ends <= 1 else min(self.first_pause_s * 2.0 ** min(ends - 2, 30), longest_s)
