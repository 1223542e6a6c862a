"""The admin API of a running installation, called over HTTP. Refusals are raised as sentences."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2

from cli.problems import UNREACHABLE, Refused, refusal_of
from cli.sources import Access, find_access, wanted_access
from config.settings import is_loopback

TIMEOUT_S = 15.0
ATTEMPTS = 3
PAUSE_S = 0.5  # before a request whose answer was lost is sent again, under the same Idempotency-Key
PAGE = 200

Pages = Iterator[dict[str, Any]]
CLEARED = object()

ADVICE = {503: "The installation cannot reach its database; `identity doctor` says more."}


@dataclass(frozen=True, slots=True)
class Remote:
    """The admin API of one installation."""

    http: httpx2.Client
    origin: str
    """Where the token came from, for the message that it is refused."""

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """Return one document; a query member that is None is left out."""
        return self._send("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Ask for a change once, however often it must be sent; a member that is None is left out."""
        given = {name: value for name, value in (body or {}).items() if value is not None}
        return self._send("POST", path, body=given, headers={"Idempotency-Key": str(uuid4())})

    def patch(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Change members; one that is None is left out, and one that is ``CLEARED`` loses its value."""
        given = {name: None if value is CLEARED else value for name, value in body.items() if value is not None}
        return self._send("PATCH", path, body=given)

    def delete(self, path: str) -> None:
        """End what ``path`` names."""
        self._send("DELETE", path)

    def pages(self, path: str, *, limit: int, **query: object) -> Pages:
        """Yield the pages of a list as they come, until there are ``limit`` items; each says where the rest begins."""
        cursor, left = query.pop("after", None), limit
        while left > 0:
            page = self.get(path, limit=min(PAGE, left), after=cursor, **query)
            yield page
            cursor, left = page["next_cursor"], left - len(page["items"])
            if cursor is None:
                return

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        params = {name: str(value) for name, value in (query or {}).items() if value is not None}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self.http.request(method, path, params=params, json=body, headers=dict(headers or {}))
            except httpx2.RequestError as error:
                lost = f"{self.http.base_url} does not answer ({type(error).__name__}): is it running at this URL?"
            else:
                if answer.status_code != 503 or attempt == ATTEMPTS:
                    return _read(answer, self.origin)
                lost = ADVICE[503]
            if attempt < ATTEMPTS:
                time.sleep(PAUSE_S)
        raise Refused(lost, UNREACHABLE, code="unreachable")


def items_of(pages: Pages) -> list[dict[str, Any]]:
    """Return the items of all pages."""
    return [item for page in pages for item in page["items"]]


def connect() -> Remote:
    """Return the installation that is wanted. Raises ``click.ClickException`` saying what to set."""
    return remote_at(find_access(wanted_access()))


def remote_at(access: Access) -> Remote:
    """Return the admin API of an installation, called with its token."""
    http = httpx2.Client(
        base_url=f"{access.url}/admin/v1",
        headers={"Authorization": f"Bearer {access.token}", "Accept": "application/json"},
        timeout=TIMEOUT_S,
        follow_redirects=False,  # the token is sent to this server alone
        trust_env=not is_loopback(urlsplit(access.url).hostname or ""),
    )
    return Remote(http, access.origin)


def _advice(status: int, origin: str) -> str | None:
    return f"The token came from {origin}." if status == 401 else ADVICE.get(status)


def _read(answer: httpx2.Response, origin: str) -> dict[str, Any]:
    if answer.status_code == 204:
        return {}
    try:
        document = answer.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and answer.is_success:
        return document
    problem = document if isinstance(document, dict) else {}
    raise refusal_of(answer, problem, _advice(answer.status_code, origin))
