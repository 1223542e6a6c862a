"""The cost of a request in units of work. The count is deterministic: the same request always ends at the same unit."""

from dataclasses import dataclass

from identity.model.errors import LimitExceeded

CHARACTERS_PER_UNIT = 64


@dataclass(slots=True)
class Work:
    """The units that are left. One is a value compared, copied or read: 1 to 4 microseconds of a processor.

    ``refused`` is the detail of the refusal when none are left. ``within`` contains this work and is spent too.
    """

    left: int
    refused: str
    within: "Work | None" = None

    def spend(self, units: int) -> None:
        """Take units. Raises ``LimitExceeded`` when fewer are left."""
        if self.within is not None:
            self.within.spend(units)
        if units > self.left:
            raise LimitExceeded(self.refused, reason="too_much_work")
        self.left -= units


def units_of_text(text: str) -> int:
    """Return the units that comparing a text costs."""
    return 1 + len(text) // CHARACTERS_PER_UNIT


def units_of(value: object) -> int:
    """Return the units that reading or copying a JSON value costs, by its values and their characters."""
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
