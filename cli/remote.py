"""Commands that ask a running installation: the admin API over HTTP, and what its refusals mean in words."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import click
import httpx2

from config.settings import is_loopback

URL = "http://127.0.0.1:8080"
TIMEOUT_S = 15.0
ATTEMPTS = 3
PAUSE_S = 0.5  # before a request whose answer was lost is sent again, under the same Idempotency-Key
PAGE = 200

UNREACHABLE, NOT_AUTHENTICATED, NOT_FOUND, CONFLICT, MALFORMED = 3, 4, 5, 6, 7
EXIT_CODES = {400: MALFORMED, 401: NOT_AUTHENTICATED, 403: NOT_AUTHENTICATED, 404: NOT_FOUND, 409: CONFLICT,
              412: CONFLICT, 413: MALFORMED, 415: MALFORMED, 503: UNREACHABLE}  # fmt: skip
"""Of the commands that ask the admin API, and stable: 0 done, 1 anything else, 2 wrong usage."""

ADVICE = {
    401: "IDENTITY_ADMIN_TOKEN is not this installation's; `identity dev` printed it when it first started.",
    503: "The installation cannot reach its database; `identity doctor` says more.",
}


class Refused(click.ClickException):
    """What the installation refused, with the exit code of the refusal."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance


@dataclass(frozen=True, slots=True)
class Remote:
    """One installation, asked as its administrator."""

    http: httpx2.Client

    def get(self, path: str, **query: object) -> dict[str, Any]:
        """Return one document; a query member that is None is left out."""
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Ask for a change once, however often it must be sent; a member that is None is left out."""
        given = {name: value for name, value in (body or {}).items() if value is not None}
        return self._ask("POST", path, body=given, headers={"Idempotency-Key": str(uuid4())})

    def patch(self, path: str, body: Mapping[str, object], *, cleared: Sequence[str] = ()) -> dict[str, Any]:
        """Change what is given and not None; what is ``cleared`` has no value any more."""
        given = {name: value for name, value in body.items() if value is not None}
        return self._ask("PATCH", path, body=given | dict.fromkeys(cleared))

    def delete(self, path: str) -> None:
        """End what ``path`` names."""
        self._ask("DELETE", path)

    def pages(self, path: str, *, limit: int, **query: object) -> dict[str, Any]:
        """Return up to ``limit`` items of a list, page by page, and where the rest begins."""
        items: list[Any] = []
        cursor = query.pop("after", None)
        while True:
            page = self.get(path, limit=min(PAGE, limit - len(items)), after=cursor, **query)
            items += page["items"]
            cursor = page["next_cursor"]
            if cursor is None or len(items) >= limit:
                return {"items": items, "next_cursor": cursor}

    def _ask(
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
                lost = (
                    f"{self.http.base_url} does not answer ({type(error).__name__}): is it running? See IDENTITY_URL."
                )
            else:
                if answer.status_code != 503 or attempt == ATTEMPTS:
                    return _read(answer)
                lost = ADVICE[503]
            if attempt < ATTEMPTS:
                time.sleep(PAUSE_S)
        raise Refused(lost, UNREACHABLE)


def connect() -> Remote:
    """Return the installation that IDENTITY_URL names. Raises ``click.ClickException`` saying what to set."""
    base_url, token = os.environ.get("IDENTITY_URL", URL).rstrip("/"), os.environ.get("IDENTITY_ADMIN_TOKEN", "")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("IDENTITY_URL must be the installation's https:// URL", 1)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise Refused("IDENTITY_URL must be https:// unless it is this machine: the token would travel in clear", 1)
    if not token:
        raise Refused(
            "IDENTITY_ADMIN_TOKEN is not set: export the token that `identity dev` printed when it first started",
            NOT_AUTHENTICATED,
        )
    if not token.isascii() or not token.isprintable():
        raise Refused("IDENTITY_ADMIN_TOKEN holds characters that no token has", NOT_AUTHENTICATED)
    return Remote(
        httpx2.Client(
            base_url=f"{base_url}/admin/v1",
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=TIMEOUT_S,
            follow_redirects=False,  # a token goes where it was told to, nowhere else
            trust_env=not is_loopback(parts.hostname),
        )
    )


def principal_id(remote: Remote, tenant: str, named: str, kind: str | None = None) -> str:
    """Return the id of the principal that ``named`` names: an id, or the one name of its kind."""
    if (id_ := parsed_id(named)) is not None:
        return id_
    found = remote.get(f"/tenants/{tenant}/principals", kind=kind, name=named, limit=2)["items"]
    if len(found) == 1:
        return str(found[0]["id"])
    what = kind or "principal"
    if found:
        raise Refused(f"more than one {what} is called {named!r}: give the id", CONFLICT)
    raise Refused(f"there is no {what} called {named!r} in {tenant}", NOT_FOUND)


def parsed_id(named: str) -> str | None:
    """Return the id that ``named`` is, or None: then it is a name."""
    try:
        return str(UUID(named))
    except ValueError:
        return None


def _read(answer: httpx2.Response) -> dict[str, Any]:
    if answer.status_code == 204:
        return {}
    try:
        document = answer.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and answer.is_success:
        return document
    raise Refused(_explain(answer, document if isinstance(document, dict) else {}), _exit_code(answer))


def _exit_code(answer: httpx2.Response) -> int:
    return EXIT_CODES.get(answer.status_code, 1)


def _explain(answer: httpx2.Response, problem: Mapping[str, Any]) -> str:
    if "detail" not in problem:
        return f"{answer.url} answered {answer.status_code}, not as the admin API does: is IDENTITY_URL right?"
    lines = [f"{problem['detail']} ({problem.get('code')})"]
    lines += [f"  {fault.get('pointer')}: {fault.get('detail')}" for fault in problem.get("errors", ())]
    if answer.status_code in ADVICE:
        lines.append(f"  {ADVICE[answer.status_code]}")
    lines.append(f"  request {problem.get('request_id')}")
    return "\n".join(printable(line) for line in lines)


def printable(text: object) -> str:
    """Return one line that can do nothing to a terminal, whatever a source has called somebody."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(text))
