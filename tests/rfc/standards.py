"""What the standards want, statement by statement: one file for each standard, in our own words."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

LEVELS = frozenset({
    "MUST", "MUST NOT", "SHALL", "SHALL NOT", "REQUIRED", "SHOULD", "SHOULD NOT", "RECOMMENDED",
})  # fmt: skip

REASONS = {
    "binds the client": "what only a client can do or leave",
    "binds others": "what receivers, intermediaries, registries or other standards do",
    "binds the deployment": "what is decided where the server is installed",
    "not offered": "an option of the standard that this server does not take",
    "nothing to observe": "advice to consider something; no request shows whether that was done",
    "deviates": "this server does otherwise, knowingly",
}
"""Why a statement has no test: what a reason begins with, and what that means."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that a standard wants. ``reason`` is why no test holds it; ``note`` is what a reader must know."""

    key: str
    level: str
    text: str
    reason: str = ""
    note: str = ""

    @property
    def kind(self) -> str:
        """Return what the reason begins with."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Section:
    """A section with its statements, in the order of its text."""

    number: str
    title: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Standard:
    """One RFC."""

    number: str
    title: str
    sections: tuple[Section, ...]

    def statements(self) -> Iterator[Statement]:
        for section in self.sections:
            yield from section.statements


@cache
def standards() -> tuple[Standard, ...]:
    """Return every standard that is covered, in the order of their numbers."""
    return tuple(_standard(tomllib.loads(file.read_text())) for file in sorted(FOLDER.glob("*.toml")))


def _standard(source: dict[str, Any]) -> Standard:
    sections = (
        Section(each["number"], each["title"], tuple(Statement(**one) for one in each["statements"]))
        for each in source["section"]
    )
    return Standard(source["number"], source["title"], tuple(sections))


def faults_of(standard: Standard) -> Iterator[str]:
    """Say what is wrong with the statements of a standard, whoever tests them."""
    seen: set[str] = set()
    for section in standard.sections:
        for place, one in enumerate(section.statements, 1):
            name = f"RFC {standard.number} {one.key}"
            if one.key in seen or one.key.rpartition("-")[0] != section.number:
                yield f"{name} is not a key of section {section.number}, or is there twice"
            if one.key != f"{section.number}-{place}":
                yield f"{name} stands where {section.number}-{place} is wanted"
            if one.level not in LEVELS:
                yield f"{name} has no level: {one.level}"
            if one.reason and one.kind not in REASONS:
                yield f"{name} has a reason of no known kind: {one.reason}"
            seen.add(one.key)
