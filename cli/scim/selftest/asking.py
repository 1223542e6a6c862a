"""One run of the self-test: how it asks, what it made and must take away again, and the list of checks."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx2

from cli.scim.expectations import Answer, UnmetError

ATTEMPTS = 3
PAUSE_S_MAX = 10.0  # as long as the self-test waits where a server asks it to
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

Json = dict[str, Any]


class Verdict(StrEnum):
    """What came of a check. ``differs``: what one source sends is not read; that alone breaks no standard."""

    PASSED = "passed"
    FAILED = "failed"
    DIFFERS = "differs"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """One check and what came of it."""

    title: str
    section: str
    verdict: Verdict
    detail: str | None = None


class NotToldError(Exception):
    """A check cannot be made, for what it rests on is not there."""


@dataclass(slots=True)
class Asking:
    """A server, and what this run has made there. ``mark`` is in every name, and in nobody else's."""

    http: httpx2.Client
    mark: str
    supported: dict[str, bool] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Return the answer to one request; wait where the server says so (RFC 6585 §4)."""
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
        return Answer(found.status_code, {k.lower(): v for k, v in found.headers.items()}, _object(found), found.text)

    def patch(self, path: str, *operations: Json) -> Answer:
        """Send a PATCH of these operations."""
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def name(self, who: str) -> str:
        """Return a userName that nobody has."""
        return f"{who}-{self.mark}@check.invalid"

    def remember(self, what: str, endpoint: str, id_: str) -> None:
        """Remember what was made, to take it away again."""
        self.made[what] = f"{endpoint}/{id_}"
        self.paths.append(f"{endpoint}/{id_}")

    def path(self, what: str) -> str:
        """Return where something is that an earlier check made. Raises ``NotToldError``."""
        if what not in self.made:
            raise NotToldError(f"there is no {what}")
        return self.made[what]

    def id(self, what: str) -> str:
        """Return the id of something that an earlier check made."""
        return self.path(what).rsplit("/", 1)[-1]

    def needs(self, feature: str) -> None:
        """Leave a check out where the server says that it has no such feature. Raises ``NotToldError``."""
        if not self.supported.get(feature, True):
            raise NotToldError(f"the server does not support {feature}")

    def clean_up(self) -> list[str]:
        """Take away whatever was made; return what could not be."""
        left = []
        for path in reversed(self.paths):
            try:
                answer = self.ask("DELETE", path)
            except UnmetError:
                left.append(path)
                continue
            if answer.status not in (200, 204, 404):
                left.append(path)
        self.paths.clear()
        return left


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 1.0


def _object(answer: httpx2.Response) -> Json | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


# --- checks ----------------------------------------------------------------------------------------------------

Run = Callable[[Asking], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is asked. ``source`` names who sends what the standard does not demand."""

    title: str
    section: str
    run: Run
    source: str | None = None


CHECKS: list[Check] = []


def check(title: str, section: str, *, source: str | None = None) -> Callable[[Run], Run]:
    """Add a check to the list, in the order of the modules that are imported."""

    def add(run: Run) -> Run:
        CHECKS.append(Check(title, section, run, source))
        return run

    return add


def run_checks(asking: Asking, sources: frozenset[str]) -> Iterator[Result]:
    """Make every check; what the named ``sources`` send must be read, what others send may differ."""
    for one in CHECKS:
        try:
            one.run(asking)
        except NotToldError as reason:
            yield Result(one.title, one.section, Verdict.SKIPPED, str(reason))
        except UnmetError as fault:
            tolerated = one.source is not None and one.source not in sources
            yield Result(one.title, one.section, Verdict.DIFFERS if tolerated else Verdict.FAILED, str(fault))
        else:
            yield Result(one.title, one.section, Verdict.PASSED)
