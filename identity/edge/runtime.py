"""What the web edges of one process share: database, keys, clock and network."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import current_app

from identity.actions.client_keys import ClientKeys
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.edge.concurrency import ConcurrencyLimiter, ConcurrencyQuota
from identity.edge.rate_limits import SCIM_RATE, UNKNOWN_TOKEN_RATE, Buckets
from identity.edge.refusal_counts import Refusals
from identity.model.ids import TenantId
from identity.model.rate import Rate
from identity.model.tenant import Tenant
from identity.store import Tx as Tx  # noqa: PLC0414 - edges annotate with it, and reach no further
from identity.store.transaction import rebound, transaction

BODY_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the edges share in one process. ``clock``, dice and network come in here and nowhere else."""

    engine: Any
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
    known_tokens: dict[tuple[TenantId, bytes], UUID] = field(default_factory=dict)
    bulks: ConcurrencyQuota = field(default_factory=ConcurrencyQuota)
    turns: ConcurrencyLimiter = field(default_factory=ConcurrencyLimiter)
    client_keys: ClientKeys = field(default_factory=ClientKeys)
    tenants: dict[str, Tenant] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)


def utc_now() -> datetime:
    """The one wall clock."""
    return datetime.now(UTC)


def new_secret(prefix: str) -> str:
    """Return a fresh secret of 256 random bits behind a prefix that secret scanners know."""
    return prefix + secrets.token_urlsafe(32)


def runtime() -> Runtime:
    """Return what the running application shares."""
    found: Runtime = current_app.extensions["identity"]
    return found


def open_transaction(tenant_id: TenantId, *, holds_events: bool = False, is_brief: bool = False) -> Any:
    """Open a transaction of one tenant; ``holds_events`` lets them go with the entry of the request, in one trip, and a
    brief one is ended before it makes a cut wait.
    """
    return transaction(runtime().engine, tenant_id, holds_events=holds_events, is_brief=is_brief)


def transaction_of_new_tenant(tx: Tx) -> Any:
    """Continue a platform's transaction as that of a tenant which is about to be: one commit for both."""
    return rebound(tx, TenantId(tx.new_id()))
