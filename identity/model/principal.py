"""Principals: whoever can be named by a token or a membership."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from identity.model.errors import Malformed
from identity.model.lifecycle import State
from identity.model.membership import MemberChange

Document = Mapping[str, Any]
"""A SCIM resource as JSON, without id, schemas, meta, members and groups."""


class Kind(StrEnum):
    """What a principal is."""

    USER = "user"
    GROUP = "group"
    AGENT = "agent"
    SERVICE_ACCOUNT = "service_account"


ACTORS = frozenset({Kind.AGENT, Kind.SERVICE_ACCOUNT})
"""Kinds that may hold client credentials and act."""

SUB_PROFILE = {
    Kind.USER: "user",
    Kind.AGENT: "ai_agent",
    Kind.SERVICE_ACCOUNT: "service_account",
    Kind.GROUP: "group",
}
"""The ``sub_profile`` claim of each kind (OAuth Actor Profile)."""

NAME_LENGTH_MAX = 256  # characters; what real directories accept for a sign-in name


@dataclass(frozen=True, slots=True)
class Email:
    """One address as the source gave it; never a key to a person."""

    value: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a source says about a principal.

    ``name`` is userName, agentUserName or a group's displayName. ``owners`` is empty for users and groups.
    ``active`` is what the source says, as in ``document["active"]``; what holds is the principal's state.
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


@dataclass(frozen=True, slots=True)
class Principal:
    """A principal as stored. ``version`` grows with every change; ``epoch`` with every cut."""

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
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Reference:
    """A principal named from another: a member, an owner, a group somebody is in."""

    id: UUID
    kind: Kind
    display_name: str | None


@dataclass(frozen=True, slots=True)
class Resource:
    """A principal with those that its representation names."""

    principal: Principal
    groups: tuple[Reference, ...] = ()
    members: tuple[Reference, ...] = ()
    owners: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Amendment:
    """What a principal shall become: the whole new profile, and for a group the change of its members."""

    profile: Profile
    members: MemberChange | None = None


INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # control, format, surrogate, private, unassigned
UNPRINTABLE = frozenset({"Cc", "Cs"})


def canonical_name(name: str) -> str:
    """Return the one form in which names are compared everywhere (PRECIS-like: NFKC, case folded).

    Computed here and stored, because PostgreSQL's and Python's folding differ, and two answers to "same name?"
    are two accounts for one person. Raises ``Malformed`` for invisible and control characters.
    """
    return _folded(name, forbidden=INVISIBLE, pointer="userName")


def shown_name(name: str) -> str:
    """Return the form in which names are compared that nobody signs in with: a group's, joined emoji and all.

    Raises ``Malformed``.
    """
    return _folded(name, forbidden=UNPRINTABLE, pointer="displayName")


def _folded(name: str, *, forbidden: frozenset[str], pointer: str) -> str:
    if not name.strip() or len(name) > NAME_LENGTH_MAX:
        raise Malformed(f"a name has 1 to {NAME_LENGTH_MAX} characters", pointer=pointer)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    if len(folded) > NAME_LENGTH_MAX:  # one character may fold into eighteen, and an index entry holds 2,700 bytes
        raise Malformed(f"a name has at most {NAME_LENGTH_MAX} characters when folded", pointer=pointer)
    if any(unicodedata.category(character) in forbidden for character in folded):
        raise Malformed("a name may not hold control or invisible characters", pointer=pointer)
    return folded
