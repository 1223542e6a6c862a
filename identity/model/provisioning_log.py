"""What the provisioning log keeps of a request: enough to see what a source did, no secret, nothing without a limit."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from identity.model.difference import differences
from identity.model.principal import Document
from identity.model.query import UNSTORABLE

KEPT_DAYS = 7
KEPT_MAX = 10_000
"""Rows of one connection, and for how long: the log shows persons, and is for finding out what happened last week."""

TEXT_CHARACTERS_MAX = 200
ITEMS_MAX = 20  # of one array or object
BODY_CHARACTERS_MAX = 8_192  # of JSON
CHANGES_MAX = 100
DETAIL_CHARACTERS_MAX = 500

MASK = "***"
CUT = "..."
SECRET = re.compile(r"password|passphrase|secret|credential|token|private_?key|api_?key|\bpin\b|\botp\b", re.IGNORECASE)
NAMING = frozenset({"name", "type", "key", "display", "attribute", "field", "path", "target", "id"})


class RequestOutcome(StrEnum):
    """What became of a request. ``failed`` is our fault; nothing was changed."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class Change(NamedTuple):
    """One attribute before and after; None is its absence."""

    attribute: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a source. ``path`` holds no id; ``body`` and ``changes`` are masked and cut."""

    method: str
    path: str
    resource_type: str | None
    principal_id: UUID | None
    name: str | None
    body: Any
    changes: tuple[Change, ...]
    outcome: RequestOutcome
    status: int
    scim_type: str | None
    reason: str | None
    detail: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as read back."""

    id: UUID
    at: datetime
    connection_id: UUID
    request_id: str | None
    request: Request


def masked(value: Any, *, is_secret: bool = False) -> Any:
    """Return a value of a known attribute as it may be kept: secrets masked by their names, the rest cut."""
    match value:
        case Mapping():
            is_secret = is_secret or names_a_secret(value)
            kept = list(value.items())[:ITEMS_MAX]
            found = {text_of(key): masked(item, is_secret=is_secret or is_secret_name(key)) for key, item in kept}
            return found if len(value) <= ITEMS_MAX else {**found, CUT: f"{len(value) - ITEMS_MAX} more"}
        case list() | tuple():
            found_items = [masked(item, is_secret=is_secret) for item in value[:ITEMS_MAX]]
            return found_items if len(value) <= ITEMS_MAX else [*found_items, f"{CUT} {len(value) - ITEMS_MAX} more"]
        case None:
            return None
        case str():
            return MASK if is_secret else text_of(value)
        case _:
            return MASK if is_secret else value


def is_secret_name(name: object) -> bool:
    """Return whether an attribute of that name, or at that path, is not for anybody's eyes."""
    return isinstance(name, str) and SECRET.search(name) is not None


def names_a_secret(members: Mapping[str, Any]) -> bool:
    """Return whether one member of an object is the name of a secret, which then another one holds."""
    return any(key.lower() in NAMING and is_secret_name(item) for key, item in members.items())


def shortened(kept: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a body; of one that is too long, what is short in it."""
    if len(json.dumps(kept)) <= BODY_CHARACTERS_MAX:
        return kept
    return {key: CUT if isinstance(item, dict | list) else item for key, item in kept.items()}


def text_of(text: str, limit: int = TEXT_CHARACTERS_MAX) -> str:
    """Return a text that can be stored, and is not longer than ``limit`` characters and a mark that it was cut."""
    clean = UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + CUT


def name_key_of(name: str) -> str:
    """Return the form in which the log is searched for a name; any text has one, also one that was refused."""
    return text_of(name.casefold())


def changes_between(before: Document, after: Document) -> tuple[Change, ...]:
    """Return what differs, attribute by attribute; the first ``CHANGES_MAX`` of it."""
    found = sorted(differences(before, after), key=lambda difference: difference[0])
    return tuple(_change(*difference) for difference in found[:CHANGES_MAX])


def _change(attribute: str, old: Any, new: Any) -> Change:
    is_secret = is_secret_name(attribute)
    return Change(attribute, masked(old, is_secret=is_secret), masked(new, is_secret=is_secret))
