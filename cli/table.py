"""Columns of text. An id is whole on one line, in a pipe and on a narrow terminal: other columns give way."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

GAP = "  "
WIDTH_MIN = 12  # of a column that is wrapped
NEVER_WRAPPED = frozenset({"id", "client_id", "kid", "txn", "jti", "at"})

Row = Mapping[str, str]


def terminal_width() -> int | None:
    """Return how wide the terminal is; None for a pipe or a file, where every row is one line."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


@dataclass(frozen=True, slots=True)
class Layout:
    """The width of each column, and the columns that did not fit."""

    widths: Mapping[str, int]
    left_out: tuple[str, ...]
    is_wrapped: bool

    @classmethod
    def for_rows(cls, columns: Sequence[str], rows: Sequence[Row]) -> "Layout":
        """Return the layout for a terminal as wide as ours, or for none."""
        natural = {name: max(cell_len(name), *(cell_len(row[name]) for row in rows)) for name in columns}
        width = terminal_width()
        return cls(natural, (), False) if width is None else fitted(natural, width)

    def header(self) -> str:
        """Return the names of the columns."""
        return self._line({name: name for name in self.widths})

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Yield what is printed for the rows."""
        for row in rows:
            parts = {name: self._parts(name, row[name]) for name in self.widths}
            for number in range(max(map(len, parts.values()))):
                yield self._line({name: part[number] if number < len(part) else "" for name, part in parts.items()})

    def footer(self, cursor: str | None) -> str:
        """Return what is said below the rows."""
        hidden = f"Not shown for want of room: {', '.join(self.left_out)}. --json has all.\n" if self.left_out else ""
        more = f"There are more: --after {cursor}\n" if cursor else ""
        return f"\n{hidden}{more}" if hidden or more else ""

    def _parts(self, name: str, text: str) -> list[str]:
        if not self.is_wrapped or is_whole(name) or cell_len(text) <= self.widths[name]:
            return [text]
        return _wrapped(text, self.widths[name])

    def _line(self, texts: Mapping[str, str]) -> str:
        return GAP.join(text + " " * (self.widths[name] - cell_len(text)) for name, text in texts.items()).rstrip()


def fitted(natural: Mapping[str, int], width: int) -> Layout:
    """Return a layout no wider than ``width``: texts are wrapped, then columns left out, the last first; ids stay."""
    kept = dict(natural)
    while _least(kept) > width and (rest := [name for name in kept if not is_whole(name)]):
        del kept[rest[-1]]
    room = width - _least(kept)
    widths = {}
    for name, wide in kept.items():
        least = _least_of(name, wide)
        more = min(wide - least, max(room, 0))
        widths[name], room = least + more, room - more
    return Layout(widths, tuple(name for name in natural if name not in kept), True)


def is_whole(name: str) -> bool:
    """Return whether a column holds ids, which are neither wrapped nor left out."""
    return name in NEVER_WRAPPED or name.endswith("_id")


def _least(columns: Mapping[str, int]) -> int:
    return sum(_least_of(name, wide) for name, wide in columns.items()) + len(GAP) * (len(columns) - 1)


def _least_of(name: str, wide: int) -> int:
    return wide if is_whole(name) else min(wide, WIDTH_MIN)


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines, broken at spaces where there are some."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
            continue
        pieces = chop_cells(word, width) if cell_len(word) > width else [word]
        lines[len(lines) if lines[-1] else len(lines) - 1 :] = pieces
    return lines
