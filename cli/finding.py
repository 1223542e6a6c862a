"""The outcome of one check of `identity doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One outcome. ``advice`` says what is wrong, and which command or setting mends it."""

    name: str
    is_well: bool
    advice: str = ""


def well(name: str, remark: str = "") -> Finding:
    """Return that a check found no fault."""
    return Finding(name, is_well=True, advice=remark)


def ill(name: str, advice: str) -> Finding:
    """Return that a check found a fault."""
    return Finding(name, is_well=False, advice=advice)
