"""The issuer's keys, held through rotation and through the issuer's bad days."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from identity_verifier.errors import ConfigurationError, Rule, VerificationError
from identity_verifier.fetch import FetchError
from identity_verifier.keys import KeySet


@dataclass(frozen=True, slots=True)
class HeldKeys:
    keys: KeySet
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Seconds. Fetch again after ``key_lifetime_s``; refuse after ``stale_key_lifetime_s`` without the
    issuer; leave ``refetch_interval_s`` between two attempts, however they ended.
    """

    key_lifetime_s: int
    stale_key_lifetime_s: int
    refetch_interval_s: int


class KeyCache:
    """Keys for many threads. Unknown ``kid``s cost the issuer one request per interval, however many come."""

    def __init__(self, fetch_keys: Callable[[], KeySet], limits: CacheLimits) -> None:
        self._fetch_keys = fetch_keys
        self._limits = limits
        self._lock = threading.Lock()
        self._held: HeldKeys | None = None
        self._attempted_at: datetime | None = None
        self._last_failure: Exception | None = None

    def keys_for(self, key_id: str, now: datetime) -> KeySet:
        """The keys to try for ``key_id``, which they may lack.

        Where there are none, raises what ``fetch_keys`` did: ``ConfigurationError``, or else ``keys_unavailable``.
        """
        if not self._is_settled(key_id, now):
            self._refetch(key_id, now)
        held = self._held
        if held is None or self._is_dead(held, now):
            raise no_keys(self._last_failure)
        return held.keys

    def _is_settled(self, key_id: str, now: datetime) -> bool:
        """Whether a fetch is needless, or is not allowed yet while no other thread fetches."""
        held = self._held
        if held and key_id in held.keys and not is_past(held.fetched_at, self._limits.key_lifetime_s, now):
            return True
        return not self._may_attempt(now) and not self._lock.locked()

    def _is_dead(self, held: HeldKeys, now: datetime) -> bool:
        return is_past(held.fetched_at, self._limits.stale_key_lifetime_s, now)

    def _may_attempt(self, now: datetime) -> bool:
        return self._attempted_at is None or is_past(self._attempted_at, self._limits.refetch_interval_s, now)

    def _refetch(self, key_id: str, now: datetime) -> None:
        """Fetch once for all threads that wait. A thread with a usable key does not wait for the fetch of another."""
        held = self._held
        can_go_on = held is not None and key_id in held.keys and not self._is_dead(held, now)
        if not self._lock.acquire(blocking=not can_go_on):
            return
        try:
            if self._may_attempt(now):
                self._attempt(now)
        finally:
            self._lock.release()

    def _attempt(self, now: datetime) -> None:
        self._attempted_at = now
        try:
            self._held = HeldKeys(self._fetch_keys(), fetched_at=now)
        except Exception as error:  # whatever went wrong, the keys we hold stay good; it becomes the cause
            self._last_failure = error


def no_keys(failure: Exception | None) -> Exception:
    """Return a new exception for each caller: one that several threads raise would gather all their tracebacks."""
    error: Exception
    if isinstance(failure, ConfigurationError):
        error = ConfigurationError(failure.code, failure.detail)
    else:
        reason = reason_of(failure)
        detail = "the issuer's keys could not be fetched" + (f" ({reason})" if reason else "")
        error = VerificationError(Rule.KEYS_UNAVAILABLE, detail)
    error.__cause__ = failure
    return error


def reason_of(failure: Exception | None) -> str:
    """Return only our own words: an injected fetch may raise any text."""
    if isinstance(failure, FetchError):
        return str(failure)
    return failure.detail if isinstance(failure, VerificationError) else ""


def is_past(since: datetime, lifetime_s: int, now: datetime) -> bool:
    """Distance in either direction, so that a clock set back by an hour does not trust for an hour longer."""
    return abs((now - since).total_seconds()) >= lifetime_s
