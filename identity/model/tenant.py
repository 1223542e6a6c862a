"""A tenant: the isolation boundary, and one issuer."""

import re
from dataclasses import dataclass
from datetime import datetime

from identity.model.errors import InvalidRequest
from identity.model.ids import TenantId

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
"""A DNS label (RFC 1035 §2.3.1), so that a tenant may get a host of its own one day."""

TASK_LIFETIME_MAX_S = 300
"""The longest life of a delegated token anywhere; a tenant can only lower it."""

ACCESS_LIFETIME_S = 300
"""The life of a token that an agent, a service account or a connection's client gets for itself."""

TASK_LIFETIME_S = 120
"""The life of a delegated token where the request names no shorter one."""

DEPTH_MAX = 4
"""The most actors in one chain (OAuth Actor Profile: SHOULD support at least four)."""

TASK_DURATION_S = 3600
"""Seconds that one task may last, through any number of tokens, unless another duration is requested."""

TASK_DURATION_MIN_S = 60
"""The shortest ``max_task_s``: less than a token lives would say nothing."""

TASK_DURATION_MAX_S = 86_400
"""The longest task anywhere; a delegation and a tenant can only lower it (``max_task_s``)."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """``slug`` never changes, and is never given to another tenant."""

    id: TenantId
    slug: str
    display_name: str
    state: str
    task_lifetime_max_s: int
    max_task_s: int
    created_at: datetime


def check_slug(slug: str) -> str:
    """Return ``slug`` when it may name a tenant. Raises ``InvalidRequest``."""
    if not SLUG.fullmatch(slug):
        raise InvalidRequest("slug must be 1 to 63 characters of a-z, 0-9 and inner hyphens", pointer="/slug")
    return slug


def issuer_of(external_url: str, slug: str) -> str:
    """Return the issuer identifier (RFC 8414 §2) of the tenant named ``slug``; never with a trailing slash."""
    return f"{external_url.rstrip('/')}/t/{slug}"


def scim_url_of(issuer: str) -> str:
    """Return the URL of the SCIM endpoint of an issuer's tenant, without a slash at its end.

    It is the audience of the tokens that open it (RFC 8707 §2), and names the protected resource (RFC 9728 §1.2).
    """
    return f"{issuer}/scim/v2"
