"""What `identity doctor` says of one thing that it has looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``advice`` says what is wrong, and which command or setting mends it."""

    name: str
    is_well: bool
    advice: str = ""


def well(name: str, remark: str = "") -> Finding:
    """Nothing is wrong with it."""
    return Finding(name, is_well=True, advice=remark)


def ill(name: str, advice: str) -> Finding:
    """Something is wrong with it."""
    return Finding(name, is_well=False, advice=advice)
