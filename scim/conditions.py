"""Preconditions of a request (RFC 7644 §3.14, RFC 9110 §13.1): ``If-Match`` and ``If-None-Match``."""

import re
from dataclasses import dataclass

from identity.model.errors import PreconditionFailed

ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')
VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The headers as they came. Weak tags compare like strong ones; a malformed tag names no version."""

    if_match: str | None = None
    if_none_match: str | None = None

    @property
    def is_absent(self) -> bool:
        """True when any version will do."""
        return self.if_none_match is None and (self.if_match is None or self.if_match.strip() == "*")

    @property
    def only_version(self) -> int | None:
        """Return the only version that satisfies the headers, or None where the present one must be read to decide."""
        if self.if_none_match is not None or self.if_match is None:
            return None
        tags = [tag for tag in ENTITY_TAG.findall(self.if_match) if VERSION.fullmatch(tag)]
        return int(tags[0]) if len(tags) == 1 else None

    def is_known(self, version: int) -> bool:
        """Return whether ``If-None-Match`` names the present version.

        Raises ``PreconditionFailed`` where ``If-Match`` does not.
        """
        if self.if_match is not None and not _names(self.if_match, version):
            raise PreconditionFailed("the resource has changed since the version in If-Match")
        return self.if_none_match is not None and _names(self.if_none_match, version)

    def check(self, version: int) -> None:
        """Refuse a change of a version that the headers exclude. Raises ``PreconditionFailed``."""
        if self.is_known(version):
            raise PreconditionFailed("the resource exists in a version that If-None-Match names")


def _names(header: str, version: int) -> bool:
    return header.strip() == "*" or str(version) in ENTITY_TAG.findall(header)
