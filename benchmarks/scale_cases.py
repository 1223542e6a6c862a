"""The requests to a small and to a large tenant."""

import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import quote

from benchmarks.cases import PAGE, PATCH_OP
from benchmarks.directory import USER, user_document
from benchmarks.planting import CROWD, Planted, person
from benchmarks.request import Request, scim
from benchmarks.turns import Following, Pair

KEPT_SHARE = 0.8  # of the users; those behind them may be deleted
FULL_IMPORT = f"count={PAGE}"


@dataclass(slots=True)
class Side:
    """Requests about one tenant; their people are drawn with a fixed seed."""

    of: Planted
    draw: random.Random = field(default_factory=lambda: random.Random(17))
    numbers: Iterator[int] = field(default_factory=count)
    joined: deque[int] = field(default_factory=deque)
    cursor: str | None = None

    def _number(self) -> int:
        return self.draw.randrange(int(self.of.users * KEPT_SHARE))

    def _ask(self, method: str, path: str, body: dict[str, object] | None = None) -> Request:
        return scim(method, self.of.scim + path, self.of.token, body)

    def create(self, _before: bytes | None) -> Request:
        """A user who was not there."""
        return self._ask("POST", "/Users", {"schemas": [USER], **user_document(f"new-{next(self.numbers)}")})

    def get(self, _before: bytes | None) -> Request:
        """A user by id."""
        return self._ask("GET", f"/Users/{person(self._number())}")

    def filtered(self, text: str) -> Following:
        """A user by what is unique to him, as identity providers look before they create."""
        return lambda _: self._ask("GET", "/Users?filter=" + quote(text.format(n=self._number())))

    def patch(self, _before: bytes | None) -> Request:
        """A new title for a user: something is written every time."""
        change = {"op": "replace", "path": "title", "value": f"Clerk {next(self.numbers)}"}
        return self._ask("PATCH", f"/Users/{person(self._number())}", {"schemas": [PATCH_OP], "Operations": [change]})

    def delete(self, _before: bytes | None) -> Request:
        """A user from the end of those who were planted."""
        return self._ask("DELETE", f"/Users/{person(self.of.users - 1 - next(self.numbers))}")

    def join(self, _before: bytes | None) -> Request:
        """One more member of the large group."""
        number = self.of.crowd + next(self.numbers)
        self.joined.append(number)
        change = {"op": "add", "path": "members", "value": [{"value": str(person(number))}]}
        return self._ask("PATCH", f"/Groups/{CROWD}", {"schemas": [PATCH_OP], "Operations": [change]})

    def leave(self, _before: bytes | None) -> Request:
        """One member less: the one who has been in it for longest of those who joined."""
        change = {"op": "remove", "path": f'members[value eq "{person(self.joined.popleft())}"]'}
        return self._ask("PATCH", f"/Groups/{CROWD}", {"schemas": [PATCH_OP], "Operations": [change]})

    def group(self, _before: bytes | None) -> Request:
        """The large group without its members."""
        return self._ask("GET", f"/Groups/{CROWD}?excludedAttributes=members")

    def first_page(self, _before: bytes | None) -> Request:
        """The first page of full users."""
        return self._ask("GET", f"/Users?{FULL_IMPORT}")

    def middle_page(self, _before: bytes | None) -> Request:
        """One page after the other, from the middle on: an import by index on its way."""
        half = self.of.users // 2
        index = half + next(self.numbers) * PAGE % max(PAGE, half - PAGE)
        return self._ask("GET", f"/Users?{FULL_IMPORT}&startIndex={index + 1}")

    def at_cursor(self, before: bytes | None) -> Request:
        """One page after the other from where ``cursor`` is: an import by cursor on its way."""
        if before is not None:
            self.cursor = json.loads(before).get("nextCursor", self.cursor)
        return self._ask("GET", f"/Users?{FULL_IMPORT}&cursor={self.cursor or ''}")


def pairs_of(small: Planted, large: Planted, middles: tuple[str, str]) -> list[Pair]:
    """Return every case; ``middles`` are cursors into the middle of both lists of users."""

    def of(make: Callable[[Side], Following], *sides: Side) -> tuple[Following, Following]:
        found = sides or (Side(small), Side(large))
        return make(found[0]), make(found[1])

    members = (Side(small), Side(large))
    at_middle = (Side(small, cursor=middles[0]), Side(large, cursor=middles[1]))
    filters = {
        "userName": 'userName eq "user-{n}@example.com"',
        "externalId": 'externalId eq "ext-{n}"',
        "emails.value": 'emails.value eq "user-{n}@example.com"',
    }
    return [
        Pair("create a user", 201, *of(lambda side: side.create)),
        Pair("get a user", 200, *of(lambda side: side.get)),
        *(
            Pair(f"filter {name} eq", 200, *of(lambda side, text=text: side.filtered(text)))  # type: ignore[misc]
            for name, text in filters.items()
        ),
        Pair("PATCH a user", 200, *of(lambda side: side.patch)),
        Pair("delete a user", 204, *of(lambda side: side.delete)),
        Pair("add a member to the group", 204, *of(lambda side: side.join, *members)),
        Pair("remove a member from it", 204, *of(lambda side: side.leave, *members)),
        Pair("get it without members", 200, *of(lambda side: side.group)),
        Pair("first page of 100", 200, *of(lambda side: side.first_page)),
        Pair("page in the middle, by index", 200, *of(lambda side: side.middle_page)),
        Pair("page in the middle, by cursor", 200, *of(lambda side: side.at_cursor, *at_middle)),
    ]
