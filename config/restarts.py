"""When a program that has ended is started again: what ends seldom at once, what keeps ending after growing pauses."""

from dataclasses import dataclass, field

WINDOW_S = 600.0
PAUSE_MAX_S = 60.0
ENDS_MAX = 5
"""Of the web server in ten minutes; with one more it has ended for good."""


@dataclass
class Restarts:
    """How often each program has ended within the last ten minutes. Times are seconds of one clock."""

    first_pause_s: float = 0.5
    ended_at: dict[str, list[float]] = field(default_factory=dict)

    def note_end(self, name: str, now: float) -> int:
        """Count an end, and return how many there were in the last ten minutes."""
        recent = [at for at in self.ended_at.get(name, []) if at > now - WINDOW_S]
        self.ended_at[name] = [*recent, now]
        return len(self.ended_at[name])

    def pause_s(self, ends: int) -> float:
        """Return how long to wait after that many ends: not at all, then twice as long each time, a minute at most."""
        return 0.0 if ends <= 1 else min(self.first_pause_s * 2.0 ** (ends - 2), PAUSE_MAX_S)
