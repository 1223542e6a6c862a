"""Advisory locks, which queue fairly: they order the issue of a token and the cut of anything that it rests on.

Issuers hold them shared from before they look again until they commit. A transaction that ends something takes them
exclusively as the last thing before its COMMIT: it waits for the tokens that are about to be issued, and those that
come after it look again at what it has written. Row share locks would not do: while they overlap, an update waits for
ever.
"""

from collections.abc import Iterable
from hashlib import blake2b
from uuid import UUID

from sqlalchemy import text

from identity.store.tx import LockKey, Tx

MEMBER_BUCKETS = 64
"""Memberships are locked by a part of the member's id: a group may lose any number of members in one transaction."""

# One order for all, that of the numbers: two that take several can then never wait for each other.
SHARED = text("SELECT pg_advisory_xact_lock_shared(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


def principal_key(principal_id: UUID) -> LockKey:
    """Return the key of a principal."""
    return "principal", principal_id


def client_key(client_id: str) -> LockKey:
    """Return the key of a client."""
    return "client", client_id


def connection_key(connection_id: UUID) -> LockKey:
    """Return the key of a connection."""
    return "connection", connection_id


def delegation_key(delegation_id: UUID) -> LockKey:
    """Return the key of a delegation."""
    return "delegation", delegation_id


def resource_key(audience: str) -> LockKey:
    """Return the key of a resource server."""
    return "resource", audience


def pair_key(pair_id: UUID) -> LockKey:
    """Return the key of a pair of resource servers."""
    return "pair", pair_id


def task_key(txn: UUID) -> LockKey:
    """Return the key of a task."""
    return "task", txn


def token_key(jti: UUID) -> LockKey:
    """Return the key of a token."""
    return "jti", jti


def subject_key(upstream_key: str) -> LockKey:
    """Return the key of an upstream issuer's subject."""
    return "subject", upstream_key


def membership_key(member_id: UUID) -> LockKey:
    """Return the key of the memberships of a person."""
    return "membership", member_id.int % MEMBER_BUCKETS


EVERY_MEMBERSHIP: tuple[LockKey, ...] = tuple(("membership", bucket) for bucket in range(MEMBER_BUCKETS))
"""The keys of all memberships: for a group that ends, or leaves another."""


def issue_lock(tx: Tx, rests_on: Iterable[LockKey]) -> None:
    """Wait for every cut under way of what a token will rest on, and hold off those to come.

    A statement of its own: one that took the locks and looked would see what was there before it waited.
    """
    tx.execute(SHARED, {"keys": _numbers(tx, rests_on)})


def cut_lock_sql(tx: Tx) -> str:
    """Return what to say before COMMIT, in the same round trip: wait until every token that rests on what this
    transaction ends is issued or given up, and hold off new ones. Numbers of ours are all that is in the text.
    """
    numbers = ",".join(map(str, _numbers(tx, tx.ends)))
    return f"SELECT pg_advisory_xact_lock(key) FROM unnest('{{{numbers}}}'::bigint[]) AS key; " if numbers else ""


def _numbers(tx: Tx, keys: Iterable[LockKey]) -> list[int]:
    return sorted({_number(f"{tx.tenant_id} {kind} {id_}") for kind, id_ in keys})


def _number(name: str) -> int:
    """Return the number that PostgreSQL locks. Two names with one number only wait for each other."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
