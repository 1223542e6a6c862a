"""A file of resources in one of two formats: one JSON object a line (NDJSON), or a table (CSV)."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from enum import StrEnum
from typing import IO, Protocol

from cli.problems import Refused

WRONG_FILE = 2
BLANK_LINES_MAX = 100  # looked at before the first one that says anything


class Form(StrEnum):
    """The format of a file."""

    NDJSON = "ndjson"
    CSV = "csv"


class LineReader(Protocol):
    """A file that is read line by line."""

    def readline(self, size: int = -1, /) -> bytes:
        """Return the next line, or no more than ``size`` bytes of it."""


class Reopened:
    """A file whose first lines were read already, and are read again."""

    def __init__(self, head: Sequence[bytes], rest: IO[bytes]) -> None:
        self._head = list(head)
        self._rest = rest

    def readline(self, size: int = -1, /) -> bytes:
        """Return the next line. Lines of the head were cut when they were read first."""
        return self._head.pop(0) if self._head else self._rest.readline(size)


def recognise(file: IO[bytes], bytes_max: int) -> tuple[Form, Reopened]:
    """Return which form a file has, and the file from its beginning. Raises ``Refused`` where it has neither."""
    head = [file.readline(bytes_max + 1)]
    while head[-1] and not head[-1].removeprefix(BOM_UTF8).strip() and len(head) < BLANK_LINES_MAX:
        head.append(file.readline(bytes_max + 1))
    return form_of(head[-1]), Reopened(head, file)


def form_of(first: bytes) -> Form:
    """Return the form that a first line shows."""
    line = first.removeprefix(BOM_UTF8).strip()
    if not line or line.startswith(b"{"):
        return Form.NDJSON
    if line.startswith(b"["):
        raise _neither("it is one JSON array: `jq -c '.[]' FILE` makes lines of it")
    if first.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or b"\0" in line:
        raise _neither("it is not UTF-8: save it as UTF-8")
    if line.startswith((b"<", b"PK")):
        raise _neither("it is a web page, XML or a spreadsheet: save it as CSV")
    return Form.CSV


def _neither(why: str) -> Refused:
    return Refused(
        f"FILE has neither one JSON object a line nor the names of attributes in its first line; {why}", WRONG_FILE
    )
