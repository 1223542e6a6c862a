"""One run of the self-test: its requests, the resources that it creates and deletes, and the list of checks."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from cli.scim.expectations import Answer, UnmetError, answer_of, expect_status
from scim.patch.request import PATCH_SCHEMA

ATTEMPTS = 3
PAUSE_S_MAX = 10.0  # whatever a server wants
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"

Json = dict[str, Any]


class Verdict(StrEnum):
    """The outcome of a check. ``differs``: the server does not read a request of one source, as the standard allows."""

    PASSED = "passed"
    FAILED = "failed"
    DIFFERS = "differs"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """One check and its outcome."""

    title: str
    section: str
    verdict: Verdict
    detail: str | None = None


class SkippedError(Exception):
    """A check cannot be made, since something that it needs is missing."""


@dataclass(slots=True)
class Run:
    """One run against one server, with the resources that it created. ``mark`` is part of every name, and unique."""

    http: httpx2.Client
    mark: str
    supported: dict[str, bool] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request, again after the pause that the server wants (RFC 6585 §4). Raises ``UnmetError``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                found = self.http.request(method, path, headers=sent, **content)
            except httpx2.HTTPError as error:
                raise UnmetError(f"no answer: {type(error).__name__}") from error
            if found.status_code != 429 or attempt == ATTEMPTS:
                break
            time.sleep(min(_seconds(found.headers.get("Retry-After", "1")), PAUSE_S_MAX))
        return answer_of(found.status_code, found.headers, found.content)

    def get(self, path: str, **query: str) -> Answer:
        """Read a path."""
        return self.request("GET", f"{path}?{urlencode(query, quote_via=quote)}" if query else path)

    def create(self, what: str, endpoint: str, body: Json) -> Answer:
        """Create a resource; a later check finds it as ``what``, and the end of the run deletes it."""
        answer = self.request("POST", endpoint, body)
        if answer.status == 201:
            self.made[what] = f"{endpoint}/{answer.member('id')}"
            self.paths.append(self.made[what])
        return answer

    def patch(self, what: str, *operations: Json) -> Answer:
        """Send a PATCH of these operations. Raises ``SkippedError``."""
        self.require("patch")
        return self.request("PATCH", self.path(what), {"schemas": [PATCH_SCHEMA], "Operations": list(operations)})

    def patched(self, what: str, *operations: Json) -> Answer:
        """Send a PATCH that must succeed; return the resource as read afterwards (the response may have no body)."""
        expect_status(self.patch(what, *operations), 200, 204)
        return self.get(self.path(what))

    def name(self, who: str) -> str:
        """Return an unused userName."""
        return f"{who}-{self.mark}@check.invalid"

    def path(self, what: str) -> str:
        """Return the path of something that an earlier check made. Raises ``SkippedError``."""
        if what not in self.made:
            raise SkippedError(f"there is no {what}")
        return self.made[what]

    def id(self, what: str) -> str:
        """Return the id of something that an earlier check made. Raises ``SkippedError``."""
        return self.path(what).rsplit("/", 1)[-1]

    def require(self, feature: str) -> None:
        """Raise ``SkippedError`` where the server says that it does not support a feature."""
        if not self.supported.get(feature, True):
            raise SkippedError(f"the server does not support {feature}")

    def clean_up(self) -> list[str]:
        """Delete all resources that the run created; return the paths that remain."""
        left = [path for path in reversed(self.paths) if not self._is_deleted(path)]
        self.paths.clear()
        return left

    def _is_deleted(self, path: str) -> bool:
        try:
            return self.request("DELETE", path).status in (200, 204, 404)
        except UnmetError:
            return False


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 1.0


# --- checks ----------------------------------------------------------------------------------------------------

Test = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``source`` names a client that sends more than the standard allows."""

    title: str
    section: str
    test: Test
    source: str | None = None


CHECKS: list[Check] = []


def check(title: str, section: str, *, source: str | None = None) -> Callable[[Test], Test]:
    """Add a check to the list, in the order of the modules that are imported."""

    def add(test: Test) -> Test:
        CHECKS.append(Check(title, section, test, source))
        return test

    return add


def run_checks(run: Run, sources: frozenset[str]) -> Iterator[Result]:
    """Make every check. The server must read the requests of the named ``sources``; others may fail."""
    for one in CHECKS:
        try:
            one.test(run)
        except SkippedError as reason:
            yield Result(one.title, one.section, Verdict.SKIPPED, str(reason))
        except UnmetError as fault:
            tolerated = one.source is not None and one.source not in sources
            yield Result(one.title, one.section, Verdict.DIFFERS if tolerated else Verdict.FAILED, str(fault))
        else:
            yield Result(one.title, one.section, Verdict.PASSED)
