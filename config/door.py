"""Before anything of a request is looked at: whose turn is it?

A tenant that floods, with whatever, is worked on in its own places, waits in its own seats, and is refused when both
are taken. So it cannot take the threads, the interpreter and the connections to the database that others need.
"""

import json
import re
from collections.abc import Container, Hashable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from config.metrics import TURNED_AWAY
from identity.fairness import READERS, Turns
from identity.http import HARDENING
from identity.model.errors import TooOften

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TENANT_SURFACES = frozenset({"scim", "oauth"})
OF_TENANT = re.compile(r"(?P<well_known>/\.well-known/[^/]+)?/t/(?P<slug>[^/]+)(?:/(?P<surface>[^/]+))?")
ODD = re.compile(r"\A(?!/)|//|/\.{1,2}(?:/|\Z)|[\\;\x00-\x1f\x7f]")
"""What one reader of a path skips or folds and another does not: no path of ours has it, so nobody reads it at all.

Werkzeug strips slashes in front of a path; proxies drop what follows ``;``, turn ``\\`` into ``/`` and resolve dots.
"""
LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
OTHER_SURFACES = frozenset({"admin"})
PROBES = frozenset({"/livez", "/readyz"})
"""What says whether this process is well needs no turn: else whoever floods could have it taken out of service."""
REQUEST_ID = "0" * 32  # stands for the id of a request, which is as long
DETAIL = "too much of this is going on; ask again"


@dataclass(frozen=True, slots=True)
class Refused:
    """How one surface refuses what it has not looked at, written once: it must cost next to nothing."""

    status: str
    content_type: str
    body: bytes
    more: tuple[tuple[str, str], ...] = ()

    def answer(self, start: "StartResponse") -> Iterable[bytes]:
        """Answer."""
        request_id = uuid4().hex
        headers = [
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", request_id),
            *self.more,
            *HARDENING.items(),
        ]
        start(self.status, headers)
        return [self.body.replace(REQUEST_ID.encode(), request_id.encode())]


def _too_many(content_type: str, **members: Any) -> Refused:
    """RFC 6585 §4."""
    return Refused("429 TOO MANY REQUESTS", content_type, json.dumps(members).encode(), (("Retry-After", "1"),))


def _not_there(content_type: str, **members: Any) -> Refused:
    return Refused("404 NOT FOUND", content_type, json.dumps(members).encode())


SCIM_ERROR = ["urn:ietf:params:scim:api:messages:2.0:Error"]
ANY_OTHER = "other"
REFUSED = {
    "scim": _too_many("application/scim+json", schemas=SCIM_ERROR, status="429", detail=DETAIL),
    "oauth": _too_many("application/json", error="temporarily_unavailable", error_description=DETAIL),
    ANY_OTHER: _too_many(
        "application/problem+json", type="about:blank", title="Too Many Requests", status=429, detail=DETAIL
    ),
}
NO_SUCH_PATH = "there is nothing at this path"
NOT_THERE = {
    "scim": _not_there("application/scim+json", schemas=SCIM_ERROR, status="404", detail=NO_SUCH_PATH),
    "oauth": _not_there("application/json", error="invalid_request", error_description=NO_SUCH_PATH),
    ANY_OTHER: _not_there(
        "application/problem+json",
        type="about:blank",
        title="Not Found",
        status=404,
        detail=NO_SUCH_PATH,
        code="not_found",
        request_id=REQUEST_ID,
    ),
}


@dataclass(frozen=True, slots=True)
class Door:
    """The application behind turns. ``known`` holds the tenants that this process has met: whoever makes up names of
    tenants has one turn with all others who do.

    A body is read before: who sends it slowly holds a thread of its own share, and nobody's place.
    """

    application: "WSGIApplication"
    turns: Turns
    known: Container[str]
    body_bytes_max: int
    readers: Turns = field(default_factory=lambda: Turns(places=READERS, seats=0))

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Let a request in when it is here and it is its turn."""
        path = environ.get("PATH_INFO", "")
        if path in PROBES:
            return self.application(environ, start)
        party, surface = self.whose(path)
        if ODD.search(path):
            return NOT_THERE[surface].answer(start)
        try:
            if has_body(environ):
                with self.readers.taken(party):
                    read_ahead(environ, self.body_bytes_max)
            with self.turns.taken(party):
                return self.application(environ, start)
        except TooOften:
            TURNED_AWAY.labels(surface).inc()
            return REFUSED[surface].answer(start)

    def whose(self, path: str) -> tuple[Hashable, str]:
        """Return whose turn a request needs, and the surface that it is for.

        A tenant has turns of its own at each surface: who provisions too much takes neither its agents' nor the
        administrator's.
        """
        found = OF_TENANT.match(path)
        if found is None:
            first = path[1:].split("/", 1)[0]
            return (first if first in OTHER_SURFACES else None), ANY_OTHER
        slug, surface = found["slug"], found["surface"]
        if found["well_known"] or surface not in TENANT_SURFACES:
            surface = ANY_OTHER
        return (slug if slug in self.known else None, surface), surface


def has_body(environ: "WSGIEnvironment") -> bool:
    """True when there is something to wait for."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def read_ahead(environ: "WSGIEnvironment", limit_bytes: int) -> None:
    """Read the body that the application will ask for. One that says that it is too large is left to be refused, and
    of one that does not say no more is read than shows it.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if LENGTH.fullmatch(length) and int(length) <= limit_bytes:
        wanted = int(length)
    elif not length and environ.get("wsgi.input_terminated"):
        wanted = limit_bytes + 1
    else:
        return
    environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(wanted))
