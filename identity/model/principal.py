"""Principals: users, groups, agents, service accounts, and resources of a tenant's own types (RFC 7643)."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from identity.model.difference import Difference
from identity.model.errors import InvalidRequest
from identity.model.lifecycle import State
from identity.model.membership import MemberChange
from identity.model.tenant import TASK_DURATION_MAX_S

Document = Mapping[str, Any]
"""A SCIM resource as JSON, without id, schemas, meta, members and groups."""


CUSTOM = "custom:"
CUSTOM_KIND = re.compile(r"custom:[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


class Kind(StrEnum):
    """The kind of a principal: one of four, or that of a tenant's own resource type, as in ``custom:Device``.

    An iteration over ``Kind`` yields the four. Only they can sign in, act, own or hold members.
    """

    USER = "user"
    GROUP = "group"
    AGENT = "agent"
    SERVICE_ACCOUNT = "service_account"

    @classmethod
    def _missing_(cls, value: object) -> "Kind | None":
        if not isinstance(value, str) or not CUSTOM_KIND.fullmatch(value):
            return None
        kind = str.__new__(cls, value)
        kind._name_ = kind._value_ = value
        return kind

    @property
    def is_custom(self) -> bool:
        """True for a kind that a tenant defined."""
        return self.value.startswith(CUSTOM)

    @property
    def sort_key(self) -> tuple[int, str]:
        """Return the position among the kinds: users before the agents that they own, a tenant's own last."""
        return (len(Kind), self.value) if self.is_custom else (list(Kind).index(self), "")


ACTORS = frozenset({Kind.AGENT, Kind.SERVICE_ACCOUNT})
"""Kinds that may hold client credentials and act."""

SUB_PROFILE = {
    Kind.USER: "user",
    Kind.AGENT: "ai_agent",
    Kind.SERVICE_ACCOUNT: "service_account",
    Kind.GROUP: "group",
}
"""The ``sub_profile`` claim of each kind (OAuth Actor Profile)."""

NAME_ATTRIBUTES = {Kind.USER: "userName", Kind.AGENT: "agentUserName", Kind.SERVICE_ACCOUNT: "userName"}
"""The SCIM attribute that is a principal's ``name``; of every other kind, displayName."""

NAME_LENGTH_MAX = 256  # characters; what real directories accept for a sign-in name


@dataclass(frozen=True, slots=True)
class Email:
    """One address as the source gave it; never a key to a person."""

    value: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A value that no other resource of the same type has, in the form in which it is compared."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The attributes that a source gives a principal.

    ``name`` is userName, agentUserName or a group's displayName; of a tenant's own type its display name, or nothing.
    ``owners`` is empty for users and groups. ``keys`` are the values of unique attributes, None where the schema has no
    such attribute. ``active`` is the source's value, as in ``document["active"]``; only the principal's state decides.
    """

    document: Document
    name: str
    external_id: str | None = None
    display_name: str | None = None
    active: bool = True
    emails: tuple[Email, ...] = ()
    owners: frozenset[UUID] = frozenset()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    keys: frozenset[UniqueKey] | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A principal as stored. ``version`` grows with every change; ``epoch`` with every cut; ``end_count`` with every
    cut that ends its delegations and clients. ``was_owned``: it has, or had, an owner.

    ``is_held``: an administrator suspended it, and no source reactivates it. ``is_protected``: no source changes it.
    """

    id: UUID
    kind: Kind
    connection_id: UUID | None
    state: State
    name: str
    external_id: str | None
    display_name: str | None
    document: Document
    valid_from: datetime | None
    valid_until: datetime | None
    version: int
    epoch: int
    end_count: int
    was_owned: bool
    is_held: bool
    is_protected: bool
    created_at: datetime
    updated_at: datetime

    @property
    def entity_tag(self) -> str:
        """Return the weak entity tag of its representation (RFC 7644 §3.14)."""
        return entity_tag(self.version)


def entity_tag(version: int) -> str:
    """Return the weak entity tag of a version of a resource (RFC 7644 §3.14)."""
    return f'W/"{version}"'


@dataclass(frozen=True, slots=True)
class Reference:
    """A principal that a representation names: a member, an owner, a group of the user."""

    id: UUID
    kind: Kind
    display_name: str | None


@dataclass(frozen=True, slots=True)
class Resource:
    """A principal with the principals that its representation names."""

    principal: Principal
    groups: tuple[Reference, ...] = ()
    members: tuple[Reference, ...] = ()
    owners: tuple[Reference, ...] = ()

    @property
    def owner_ids(self) -> frozenset[UUID]:
        """Return the ids of its owners."""
        return frozenset(owner.id for owner in self.owners)

    @property
    def stored(self) -> "ListItem":
        """Return the parts of its representation, in the form in which a list reads them."""
        own = self.principal
        return ListItem(
            str(own.id), own.kind, own.state, own.document, own.version, own.created_at, own.updated_at,
            *([(str(other.id), other.kind, other.display_name) for other in beside]
              for beside in (self.groups, self.members, self.owners)),
        )  # fmt: skip


Named = Sequence[Any]
"""The id, kind and display name of a principal that a representation names: a JSON array, as it was read."""

kind_of = lru_cache(1_000)(Kind)
"""Return the kind of a name; cached, because a page of a list has hundreds of them."""


class ListItem(NamedTuple):
    """The parts of a representation, as they are stored. A list holds hundreds, so no models are built of them."""

    id: str
    kind: Kind
    state: str
    document: Document
    version: int
    created_at: datetime
    updated_at: datetime
    groups: Sequence[Named] | None = None
    members: Sequence[Named] | None = None
    owners: Sequence[Named] | None = None


@dataclass(frozen=True, slots=True)
class Amendment:
    """The new profile of a principal, and for a group the change of its members.

    ``is_whole`` when the source sent the whole resource (PUT) and not operations (PATCH).
    """

    profile: Profile
    members: MemberChange | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Amended:
    """A resource before and after a request, and what differs: everything that is recorded of the change.

    ``before`` is None for a new one. ``differences`` are those of the documents, ``members`` is the change of a group's
    members as it was requested: its members are not read.
    """

    before: Resource | None
    after: Resource
    differences: tuple[Difference, ...] = ()
    members: MemberChange | None = None

    @property
    def principal(self) -> Principal:
        """Return the principal as it is after the request."""
        return self.after.principal

    @property
    def old_owners(self) -> frozenset[UUID]:
        """Return the ids of the owners before the request."""
        return frozenset() if self.before is None else self.before.owner_ids

    @property
    def paths(self) -> list[str]:
        """Return the paths of the attributes that the request changed."""
        has_members = self.members is not None and not self.members.is_empty
        beside = {"owners": self.old_owners != self.after.owner_ids, "members": has_members}
        return [each.path for each in self.differences] + [name for name, differs in beside.items() if differs]


INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, format, surrogate, private, unassigned
UNPRINTABLE = frozenset({"Cc", "Cs"})


def canonical_name(name: str) -> str:
    """Return the one form in which sign-in names are compared (PRECIS-like: NFKC, case folded).

    It is computed here and stored, because PostgreSQL and Python fold differently: one person would get two accounts.
    Raises ``InvalidRequest`` for invisible and control characters.
    """
    return _folded(name, forbidden=INVISIBLE, pointer="userName")


def shown_name(name: str) -> str:
    """Return the form in which display names of groups are compared. Joined emoji are permitted.

    Raises ``InvalidRequest``.
    """
    return _folded(name, forbidden=UNPRINTABLE, pointer="displayName")


def _folded(name: str, *, forbidden: frozenset[str], pointer: str) -> str:
    if not name.strip() or len(name) > NAME_LENGTH_MAX:
        raise InvalidRequest(f"must be 1 to {NAME_LENGTH_MAX} characters", pointer=pointer)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    if len(folded) > NAME_LENGTH_MAX:  # one character may fold into eighteen, and an index entry holds 2,700 bytes
        raise InvalidRequest(f"must be at most {NAME_LENGTH_MAX} characters after case folding", pointer=pointer)
    if any(unicodedata.category(character) in forbidden for character in folded):
        raise InvalidRequest("must not contain control or invisible characters", pointer=pointer)
    return folded


def narrows_validity(
    principal: Principal, valid_from: datetime | None, valid_until: datetime | None, now: datetime
) -> bool:
    """True when the validity window begins later or ends earlier than before, so that tokens and tasks must end.

    They stay ended when the window is widened again. No token or task lives longer than a task may, so an end that is
    farther away than that ends nothing.
    """
    horizon = now + timedelta(seconds=TASK_DURATION_MAX_S)
    ends = valid_until is not None and valid_until < min(principal.valid_until or horizon, horizon)
    begins = valid_from is not None and valid_from > max(principal.valid_from or now, now)
    return ends or begins
