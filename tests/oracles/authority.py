"""What a resource server allows on a token: read from docs/tokens.md alone, without a line of what issues tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Restrictions = Mapping[str, Any]


class Holder(Protocol):
    """A token; or a delegation, read as if it were one."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes."""

    @property
    def authorization_details(self) -> Sequence[Mapping[str, Any]]:
        """Entries."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. With a scope, the resource server asks for it; without, only an entry of ``type`` opens it."""

    scope: str | None
    type: str
    action: str
    amount: float = 1
    location: str = "here"
    identifier: str = "17"


def opens(holder: Holder, call: Call, restrictions: Restrictions) -> bool:
    """Whether the resource server that registered ``restrictions`` (type to scopes) lets the call through."""
    if call.scope is None:
        return call.type not in restrictions and _any_permits(holder, call, {call.type})
    types = {type_ for type_, scopes in restrictions.items() if call.scope in scopes}
    if not holder.scopes:
        return _any_permits(holder, call, types)
    if call.scope not in holder.scopes:
        return False
    return not types or not holder.authorization_details or _any_permits(holder, call, types)


def opens_where_nothing_restricts(holder: Holder, call: Call, restrictions: Restrictions) -> bool:
    """The same by a reader that docs/tokens.md does not have: a scope is open where no entry at hand restricts it."""
    types = {type_ for type_, scopes in restrictions.items() if call.scope in scopes}
    if call.scope in holder.scopes and not any(entry["type"] in types for entry in holder.authorization_details):
        return True
    return opens(holder, call, restrictions)


def _any_permits(holder: Holder, call: Call, types: set[str]) -> bool:
    return any(entry["type"] in types and permits(entry, call) for entry in holder.authorization_details)


def permits(entry: Mapping[str, Any], call: Call) -> bool:
    """Whether one entry lets the call through. A member that is not known here lets nothing through."""
    return all(_member_permits(name, value, call) for name, value in entry.items() if name != "type")


def _member_permits(name: str, value: Any, call: Call) -> bool:
    match name, value:
        case "actions", list():
            return call.action in value
        case "locations", list():
            return call.location in value
        case "except", list():
            return call.action not in value
        case "identifier", str():
            return call.identifier == value
        case "constraints", dict():
            return _within(value, call.amount)
    return False


def _within(limits: Mapping[str, Any], amount: float) -> bool:
    """Whether an amount keeps all limits; or those of ``or`` instead, which is how an added member may widen."""
    if "or" in limits and isinstance(limits["or"], dict) and _within(limits["or"], amount):
        return True
    return all(_keeps(name, limit, amount) for name, limit in limits.items() if name != "or")


def _keeps(name: str, limit: Any, amount: float) -> bool:
    if name == "not":
        return isinstance(limit, dict) and not _within(limit, amount)
    if type(limit) not in (int, float):
        return False
    return bool(amount >= limit) if name.startswith("min") else name.startswith("max") and bool(amount <= limit)
