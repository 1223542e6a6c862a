"""Before anything of a request is looked at: whose turn is it?

A tenant that floods, with whatever, is worked on in its own places, waits in its own seats, and is refused when both
are taken. So it cannot take the threads, the interpreter and the connections to the database that others need.
"""

import re
from collections.abc import Container, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from identity.edge.concurrency import ConcurrencyLimiter
from identity.edge.early_refusals import ANY_OTHER, NOT_THERE, TOO_MANY
from identity.edge.metrics import TURNED_AWAY
from identity.model.errors import RateLimited

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TENANT_SURFACES = {"scim": "scim", "oauth": "oauth", "tasks": "oauth"}
"""Who opens tasks asks for tokens too, and shares their turns and their form of an error."""

OF_TENANT = re.compile(r"(?P<well_known>/\.well-known/[^/]+)?/t/(?P<slug>[^/]+)(?:/(?P<surface>[^/]+))?")
ODD = re.compile(r"\A(?!/)|//|/\.{1,2}(?:/|\Z)|[\\;\x00-\x1f\x7f]")
"""What one reader of a path skips or folds and another does not: no path of ours has it, so nobody reads it at all.

Werkzeug strips slashes in front of a path; proxies drop what follows ``;``, turn ``\\`` into ``/`` and resolve dots.
"""
OTHER_SURFACES = frozenset({"admin"})
PROBES = frozenset({"/livez", "/readyz"})
"""What says whether this process is well needs no turn: else whoever floods could have it taken out of service."""


@dataclass(frozen=True, slots=True)
class AdmissionMiddleware:
    """The application behind turns. ``known`` holds the tenants that this process has met: whoever makes up names of
    tenants has one turn with all others who do.
    """

    application: "WSGIApplication"
    turns: ConcurrencyLimiter
    known: Container[str]

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Let a request in when it is here and it is its turn."""
        path = environ.get("PATH_INFO", "")
        if path in PROBES:
            return self.application(environ, start)
        party, surface = self.whose(path)
        if ODD.search(path):
            return NOT_THERE[surface].answer(start)
        try:
            with self.turns.slot(party):
                return self.application(environ, start)
        except RateLimited:
            TURNED_AWAY.labels(surface).inc()
            return TOO_MANY[surface].answer(start)

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
        surface = ANY_OTHER if found["well_known"] else TENANT_SURFACES.get(surface, ANY_OTHER)
        return (slug if slug in self.known else None, surface), surface
