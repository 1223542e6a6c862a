"""The codes of docs/troubleshooting.md, and those with which something was refused in a test."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from unittest.mock import patch

from identity.model.errors import Refusal
from tests.documents.blocks import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"


@cache
def documented() -> frozenset[str]:
    """Return the codes of the page, families such as ``subject_token_*`` among them."""
    rows = (line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `"))
    return frozenset(code for row in rows for code in re.findall(r"`([^`]+)`", row))


@cache
def is_documented(code: str) -> bool:
    """Say whether a code has its row, or belongs to a family that has one."""
    return any(fnmatchcase(code, known) for known in documented())


@contextmanager
def undocumented() -> Iterator[set[str]]:
    """Collect the codes of refusals that have no row."""
    found: set[str] = set()
    made = Refusal.__init__

    def watch(self: Refusal, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        if not is_documented(self.reason):
            found.add(self.reason)

    with patch.object(Refusal, "__init__", watch):
        yield found
