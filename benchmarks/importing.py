"""A full import, as identity providers and governance tools make it: page after page of 100, in order."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.cases import PAGE
from benchmarks.planting import Planted
from benchmarks.request import scim
from benchmarks.turns import Asker

STRIDE = 200  # users of a page that is only walked over
SHOWN = 50  # pages at the front, in the middle and at the end


@dataclass(frozen=True, slots=True)
class Import:
    """Seconds of each page in order, and of the first page, which was requested anew beside each of them."""

    seconds: list[float]
    first_page: list[float]

    def part(self, where: float) -> float:
        """Return the milliseconds of a page around a place: 0 is the front, 1 the end."""
        return median(self.seconds[self._around(where)]) * 1_000

    def ratio(self, where: float) -> float:
        """Return how many times as long a page around a place takes as the first page did at that time."""
        around = self._around(where)
        return median(self.seconds[around]) / median(self.first_page[around])

    def _around(self, where: float) -> slice:
        first = int(where * max(0, len(self.seconds) - SHOWN))
        return slice(first, first + SHOWN)


def cursor_at(port: int, of: Planted, index: int) -> str:
    """Return the cursor behind ``index`` users, by walking there."""
    asker, cursor = Asker(port), ""
    for left in range(index, 0, -STRIDE):
        path = f"{of.scim}/Users?cursor={cursor}&count={min(left, STRIDE)}&attributes=userName"
        cursor = json.loads(asker.ask(scim("GET", path, of.token), 200)[0])["nextCursor"]
    asker.close()
    return cursor


def import_users(port: int, of: Planted, users: int, report: Callable[[str], None]) -> tuple[Import, Import]:
    """Return an import by index and one by cursor, page by page in turns. Raises ``SystemExit`` for a wrong page."""
    asker, cursor = Asker(port), ""
    by_index, by_cursor = Import([], []), Import([], [])

    def ask(query: str, seconds: list[float]) -> bytes:
        body, took_s = asker.ask(scim("GET", f"{of.scim}/Users?count={PAGE}&{query}", of.token), 200)
        seconds.append(took_s)
        return body

    for index in range(0, users, PAGE):
        if index % 5_000 == 0:
            report(f"import: {index:,} of {users:,}")
        ask("startIndex=1", by_index.first_page)
        shown = _checked(ask(f"startIndex={index + 1}", by_index.seconds))
        ask("cursor=", by_cursor.first_page)
        body = ask(f"cursor={cursor}", by_cursor.seconds)
        if _checked(body) != shown:
            raise SystemExit(f"the two imports differ at {index}")
        cursor = json.loads(body).get("nextCursor", "")
    asker.close()
    return by_index, by_cursor


def _checked(body: bytes) -> list[str]:
    page = json.loads(body)
    if not page["totalResults"] or len(page["Resources"]) != PAGE:
        raise SystemExit(f"a page of {len(page['Resources'])}, of {page['totalResults']} in all")
    return [user["id"] for user in page["Resources"]]
