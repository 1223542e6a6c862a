"""What a request may cost: units of work are counted as they are done, so the same request ends at the same place."""

from dataclasses import dataclass

from identity.model.errors import LimitExceeded

CHARACTERS_PER_UNIT = 64


@dataclass(slots=True)
class Work:
    """The units that are left. One is a value compared, copied or read: 1 to 4 microseconds of a processor."""

    left: int
    refused: str
    """What the client is told when nothing is left."""
    within: "Work | None" = None
    """What this is a part of: its units are spent too."""

    def spend(self, units: int) -> None:
        """Take units. Raises ``LimitExceeded`` when fewer are left."""
        if self.within is not None:
            self.within.spend(units)
        if units > self.left:
            raise LimitExceeded(self.refused, reason="too_much_work")
        self.left -= units


def units_of_text(text: str) -> int:
    """Return what it costs to compare a text."""
    return 1 + len(text) // CHARACTERS_PER_UNIT


def units_of(value: object) -> int:
    """Return what it costs to read or copy a JSON value: each value in it, and its characters."""
    units, open_ = 0, [value]
    while open_:
        match open_.pop():
            case dict() as found:
                units += 1
                open_.extend(found.values())
            case list() as found:
                units += 1
                open_.extend(found)
            case str() as text:
                units += units_of_text(text)
            case _:
                units += 1
    return units
