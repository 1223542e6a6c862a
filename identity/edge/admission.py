"""Admission: a request waits for a slot of its tenant before anything else of it is read.

A tenant that floods occupies its own slots and its own share of the queue, and is refused when both are full. So it
cannot take the threads, the interpreter and the connections to the database that other tenants need.
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
"""A client that opens tasks requests tokens too, and shares their slots and their form of an error."""

OF_TENANT = re.compile(r"(?P<well_known>/\.well-known/[^/]+)?/t/(?P<slug>[^/]+)(?:/(?P<surface>[^/]+))?")
ODD = re.compile(r"\A(?!/)|//|/\.{1,2}(?:/|\Z)|[\\;\x00-\x1f\x7f]")
"""What one reader of a path skips or folds and another does not. No path of ours has it, so such a path is not read.

Werkzeug strips slashes in front of a path; proxies drop what follows ``;``, turn ``\\`` into ``/`` and resolve dots.
"""
OTHER_SURFACES = frozenset({"admin"})
PROBES = frozenset({"/livez", "/readyz"})
"""Health probes need no slot: else a flood would take this process out of service."""


@dataclass(frozen=True, slots=True)
class AdmissionMiddleware:
    """The application behind a limiter. ``known_tenants`` holds the slugs that this process has met: requests for any
    other slug share one tenant key.
    """

    application: "WSGIApplication"
    limiter: ConcurrencyLimiter
    known_tenants: Container[str]

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Run a request in a slot of its tenant, or refuse it."""
        path = environ.get("PATH_INFO", "")
        if path in PROBES:
            return self.application(environ, start)
        tenant_key, surface = self.tenant_key_of(path)
        if ODD.search(path):
            return NOT_THERE[surface].answer(start)
        try:
            with self.limiter.slot(tenant_key):
                return self.application(environ, start)
        except RateLimited:
            TURNED_AWAY.labels(surface).inc()
            return TOO_MANY[surface].answer(start)

    def tenant_key_of(self, path: str) -> tuple[Hashable, str]:
        """Return the key of the slots that a path needs, and the surface that it is for.

        A tenant has slots of its own at each surface: a flood of provisioning takes neither those of its agents nor
        those of the administrator.
        """
        found = OF_TENANT.match(path)
        if found is None:
            first = path[1:].split("/", 1)[0]
            return (first if first in OTHER_SURFACES else None), ANY_OTHER
        slug, surface = found["slug"], found["surface"]
        surface = ANY_OTHER if found["well_known"] else TENANT_SURFACES.get(surface, ANY_OTHER)
        return (slug if slug in self.known_tenants else None, surface), surface
