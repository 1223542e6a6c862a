"""The runtime of one web process: the database, keys, clock, network and limits that its edges share."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from flask import current_app

from identity.actions.bounded_cache import BoundedCache
from identity.actions.client_keys import ClientKeys
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.edge.concurrency import ConcurrencyLimiter, ConcurrencyQuota
from identity.edge.rate_limits import SCIM_RATE, UNKNOWN_TOKEN_RATE, Buckets
from identity.edge.refusal_counts import RefusalCounts
from identity.model.ids import TenantId
from identity.model.rate import Rate
from identity.model.tenant import Tenant
from identity.store import Engine
from identity.store import Tx as Tx  # noqa: PLC0414 - edges annotate with it, and reach no further
from identity.store.transaction import rebound, transaction

BODY_BYTES_MAX = 1024 * 1024
CACHED_MAX = 10_000
"""Tenants, and SCIM tokens that proved good, that one process remembers."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The state that the web edges of one process share. Clock, randomness and network come in here alone."""

    engine: Engine
    encryption: EnvelopeEncryption
    keys: KeyRing
    upstream_keys: UpstreamKeys
    external_url: str
    admin_token_hash: bytes | None
    clock: Callable[[], datetime]
    allow_loopback: bool = False
    allow_development_issuer: bool = False
    body_bytes_max: int = BODY_BYTES_MAX
    scim_rate: Rate = SCIM_RATE
    unknown_token_rate: Rate = UNKNOWN_TOKEN_RATE
    scim_buckets: Buckets = field(default_factory=Buckets)
    known_tokens: BoundedCache[tuple[TenantId, bytes], UUID] = field(default_factory=lambda: BoundedCache(CACHED_MAX))
    bulk_quota: ConcurrencyQuota = field(default_factory=ConcurrencyQuota)
    limiter: ConcurrencyLimiter = field(default_factory=ConcurrencyLimiter)
    client_keys: ClientKeys = field(default_factory=ClientKeys)
    tenants: BoundedCache[str, Tenant] = field(default_factory=lambda: BoundedCache(CACHED_MAX))
    refusals: RefusalCounts = field(default_factory=RefusalCounts)


def utc_now() -> datetime:
    """The one wall clock."""
    return datetime.now(UTC)


def new_secret(prefix: str) -> str:
    """Return a fresh secret of 256 random bits behind a prefix that secret scanners know."""
    return prefix + secrets.token_urlsafe(32)


def runtime() -> Runtime:
    """Return the runtime of the running application."""
    found: Runtime = current_app.extensions["identity"]
    return found


def open_transaction(
    tenant_id: TenantId, *, holds_events: bool = False, is_brief: bool = False
) -> AbstractContextManager[Tx]:
    """Open a transaction of one tenant.

    With ``holds_events`` its events are written with the log entry of the request, in one trip. The database ends an
    ``is_brief`` one before it makes a cut wait.
    """
    return transaction(runtime().engine, tenant_id, holds_events=holds_events, is_brief=is_brief)


def transaction_of_new_tenant(tx: Tx) -> AbstractContextManager[Tx]:
    """Continue a transaction of the platform as that of a new tenant: one commit for both."""
    return rebound(tx, TenantId(tx.new_id()))
