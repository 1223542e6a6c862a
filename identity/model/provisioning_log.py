"""The provisioning log: one entry for each request of a source. It holds no secret; everything has a limit."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from identity.model.difference import Difference
from identity.model.membership import MemberChange
from identity.model.principal import Amended
from identity.model.query import UNSTORABLE
from identity.model.selection import EVER, Order, Span

KEPT_DAYS = 7
KEPT_MAX = 10_000
"""How many entries of one connection are kept, and for how long: they show persons, and serve to find recent faults."""

TEXT_CHARACTERS_MAX = 200
ITEMS_MAX = 20  # of one array or object
BODY_CHARACTERS_MAX = 8_192  # of JSON
CHANGES_MAX = 100
IDS_MAX = 100  # of owners or members in one change
DETAIL_CHARACTERS_MAX = 500

MASK = "***"
CUT = "..."
SECRET = re.compile(r"password|passphrase|secret|credential|token|private_?key|api_?key|\bpin\b|\botp\b", re.IGNORECASE)
NAMING = frozenset({"name", "type", "key", "display", "attribute", "field", "path", "target", "id"})


class RequestOutcome(StrEnum):
    """The outcome of a request. ``failed`` is a fault of this server; nothing was changed."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class Change(NamedTuple):
    """One attribute before and after; None is its absence."""

    attribute: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request of a source. ``path`` holds no id; ``body`` and ``changes`` are masked and cut.

    ``reason`` and ``detail`` are those of a refusal or fault, ``scim_type`` is the ``scimType`` (RFC 7644 §3.12).
    """

    method: str
    path: str
    resource_type: str | None
    principal_id: UUID | None
    name: str | None
    body: Any
    outcome: RequestOutcome
    status: int
    duration_ms: int
    changes: tuple[Change, ...] = ()
    scim_type: str | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedLogEntry:
    """An entry as it is read back."""

    id: UUID
    at: datetime
    connection_id: UUID
    request_id: str | None
    entry: LogEntry


@dataclass(frozen=True, slots=True)
class LogQuery:
    """At most ``limit`` entries of a connection behind the one with id ``after``, in the order of ids."""

    limit: int
    after: UUID | None = None
    principal_id: UUID | None = None
    name: str | None = None
    outcome: RequestOutcome | None = None
    span: Span = EVER
    order: Order = Order.ASCENDING


def masked(value: Any, *, is_secret: bool = False) -> Any:
    """Return a value of a known attribute as it may be kept: secrets masked by their names, long values cut."""
    match value:
        case Mapping():
            hides = is_secret or names_a_secret(value)
            return kept_members(value, lambda k, v: (text_of(k), masked(v, is_secret=hides or is_secret_name(k))))
        case list() | tuple():
            return kept_items(value, lambda item: masked(item, is_secret=is_secret))
        case None:
            return None
        case str():
            return MASK if is_secret else text_of(value)
        case _:
            return MASK if is_secret else value


def kept_members(found: Mapping[str, Any], kept: Callable[[str, Any], tuple[str, Any]]) -> dict[str, Any]:
    """Return the first members of an object, each with its name and value as ``kept`` returns them."""
    shown = dict(kept(key, value) for key, value in list(found.items())[:ITEMS_MAX])
    return shown if len(found) <= ITEMS_MAX else {**shown, CUT: f"{len(found) - ITEMS_MAX} more"}


def kept_items(found: Sequence[Any], kept: Callable[[Any], Any]) -> list[Any]:
    """Return the first items of an array, each as ``kept`` returns it."""
    shown = [kept(item) for item in found[:ITEMS_MAX]]
    return shown if len(found) <= ITEMS_MAX else [*shown, f"{CUT} {len(found) - ITEMS_MAX} more"]


def is_secret_name(name: object) -> bool:
    """Return whether an attribute of that name, or at that path, holds a secret."""
    return isinstance(name, str) and SECRET.search(name) is not None


def names_a_secret(members: Mapping[str, Any]) -> bool:
    """Return whether a member of an object is the name of a secret, so that another member is the secret."""
    return any(key.lower() in NAMING and is_secret_name(item) for key, item in members.items())


def shortened(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a body that is kept: all of it, or without its objects and arrays when it is too long."""
    if len(json.dumps(kept)) <= BODY_CHARACTERS_MAX:
        return kept
    return {key: CUT if isinstance(item, dict | list) else item for key, item in kept.items()}


def text_of(text: str, limit: int = TEXT_CHARACTERS_MAX) -> str:
    """Return a text that can be stored: at most ``limit`` characters, and a mark where it was cut."""
    clean = UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + CUT


def name_key_of(name: str) -> str:
    """Return the form in which the log is searched for a name. Every text has one, a refused name too."""
    return text_of(name.casefold())


def changes_of(amended: Amended) -> tuple[Change, ...]:
    """Return everything that a request changed: attributes, owners, members."""
    owners = _owners_change(amended.old_owners, amended.after.owner_ids)
    return (*masked_changes(amended.differences), *owners, *_members_change(amended.members))


def masked_changes(found: Iterable[Difference]) -> tuple[Change, ...]:
    """Return the first ``CHANGES_MAX`` differences, in the order of their paths."""
    return tuple(_masked_change(each) for each in sorted(found, key=lambda each: each.path)[:CHANGES_MAX])


def _masked_change(found: Difference) -> Change:
    is_secret = is_secret_name(found.path)
    return Change(found.path, masked(found.old, is_secret=is_secret), masked(found.new, is_secret=is_secret))


def _owners_change(old: frozenset[UUID], new: frozenset[UUID]) -> Iterator[Change]:
    if old != new:
        yield Change("owners", _shown(old) or None, _shown(new) or None)


def _members_change(change: MemberChange | None) -> Iterator[Change]:
    """The change is relative, because the members of a group are not read."""
    if change is not None and not change.is_empty:
        replaced = {"replaced": change.replace} if change.replace else {}
        yield Change("members", None, {**replaced, "added": _shown(change.add), "removed": _shown(change.remove)})


def _shown(ids: frozenset[UUID]) -> list[str]:
    shown = sorted(map(str, ids))
    return shown if len(shown) <= IDS_MAX else [*shown[:IDS_MAX], f"... {len(shown) - IDS_MAX} more"]
