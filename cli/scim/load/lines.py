"""One resource a line (NDJSON), read in bounded memory."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cli.scim.load.file import LineReader
from identity.model.errors import LimitExceeded, Refusal
from scim.errors import render_refusal
from scim.json_body import parse_body

SKIPPED_BYTES = 65_536
TEXT_CHARACTERS_MAX = 200  # shown of a line that is no resource

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One resource, as JSON text and as an object. ``number`` counts lines from 1, ``end`` the bytes up to here."""

    number: int
    end: int
    text: bytes
    resource: Json = field(default_factory=dict)

    def operation(self, endpoint: str) -> bytes:
        """Return the operation of a Bulk that creates it; its bulkId is the line's number."""
        return b'{"method":"POST","path":"/%b","bulkId":"%d","data":%b}' % (endpoint.encode(), self.number, self.text)


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """A line that did not become a resource, with the SCIM error of this program or of the server."""

    number: int
    end: int
    status: int
    error: Json
    shown: Json

    def written(self) -> str:
        """Return what is kept of it, as one line."""
        found = {"line": self.number, "status": self.status, "error": self.error, **self.shown}
        return json.dumps(found, ensure_ascii=False) + "\n"

    @property
    def is_unreadable(self) -> bool:
        """True for a line that was no resource at all, and was not sent."""
        return "text" in self.shown

    @property
    def detail(self) -> str:
        """Return what is wrong, in words."""
        return f"{self.error.get('detail') or self.error.get('scimType') or self.status}"


def read_lines(file: LineReader, bytes_max: int) -> Iterator[Line | NotLoaded]:
    """Yield what is in a file, line by line; empty lines are nothing."""
    end = 0
    for number in count(1):
        text = file.readline(bytes_max + 1)
        if not text:
            return
        end += len(text)
        if len(text) > bytes_max and not text.endswith(b"\n"):
            end += _skip_line(file)
            yield refused_line(number, end, text, LimitExceeded(f"a line has at most {bytes_max} bytes here"))
        elif resource := (text.removeprefix(BOM_UTF8) if number == 1 else text).strip():
            yield _parsed(number, end, resource)


def _skip_line(file: LineReader) -> int:
    skipped = 0
    while text := file.readline(SKIPPED_BYTES):
        skipped += len(text)
        if text.endswith(b"\n"):
            break
    return skipped


def _parsed(number: int, end: int, text: bytes) -> Line | NotLoaded:
    """As strict as a server may be: one line that is no JSON would spoil the whole Bulk."""
    try:
        resource = parse_body(text)
    except Refusal as refusal:
        return refused_line(number, end, text, refusal)
    return Line(number, end, json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode(), resource)


def refused_line(number: int, end: int, text: bytes, refusal: Refusal) -> NotLoaded:
    """Return that a line is no resource."""
    error, status = render_refusal(refusal)
    return NotLoaded(number, end, status, error, {"text": text[:TEXT_CHARACTERS_MAX].decode(errors="replace")})


def not_loaded(line: Line, status: int, error: Json) -> NotLoaded:
    """Return that a server refused a line."""
    return NotLoaded(line.number, line.end, status, error, {"resource": line.resource})
