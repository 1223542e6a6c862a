"""Times as they are typed: RFC 3339, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

import click

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGO = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
EXAMPLES = "2026-11-30T10:00:00Z, or how long ago: 15m, 2h, 3d"


class Time(click.ParamType[str]):
    """A time with its offset from UTC, or how long ago it was."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time as RFC 3339 writes it."""
        try:
            found = _ago(value) or datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time: {EXAMPLES}", param, ctx)
        if found.tzinfo is None:
            self.fail(f"{value!r} does not say its offset from UTC: {EXAMPLES}", param, ctx)
        return found.isoformat()


def _ago(value: str) -> datetime | None:
    found = AGO.fullmatch(value)
    return None if found is None else datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
