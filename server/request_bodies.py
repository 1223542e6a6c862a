"""Request bodies: read without a thread, within a time limit, and within a limit of memory for all of them.

A body has ``BODY_S`` to arrive, and longer while it arrives at ``BODY_BYTES_PER_S``. Tenants share the memory of
unfinished bodies, as they share slots (``model.fair_share``). A tenant that needs more than its share gives up its
oldest unfinished body: a slow request makes room for a new one, and is refused when its time is over.

Everything here belongs to the thread of one event loop.
"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from identity.model.errors import LimitExceeded, RateLimited

BODY_S = 5.0
BODY_BYTES_PER_S = 16_384
"""The slowest rate of a body: 128 kbit/s. Apache's mod_reqtimeout demands 500 bytes/s after 20 s."""

SMALL_BYTES = 65_536
"""Read in one piece where the length is known: every form of the token service, and nearly every resource."""

CHUNK_BYTES_MIN = 512
"""The least that a chunk counts for: each takes memory, however little is in it."""

CHUNKS_FREE = 8
CHUNKS_PER_S = 500
"""Of one tenant, smaller ones after the first of a body: each is work for this process, and none for the sender."""

HELD_BODIES = 64
"""So many bodies of the largest permitted size may be unfinished at once."""

GIVEN_UP = "too much of this is going on; ask again"
LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class BodyTooSlow(Exception):  # noqa: N818 - an answer, not a programming error
    """The body did not come in time."""


@dataclass(slots=True, eq=False)
class Reading:
    """One unfinished body. ``held_bytes`` is its part of its tenant's share."""

    tenant_key: Hashable
    deadline: asyncio.Timeout
    held_bytes: int = 0
    is_given_up: bool = False


@dataclass(slots=True)
class RequestBodies:
    """All unfinished bodies of one process."""

    bytes_max: int
    clock: Callable[[], float] = time.monotonic  # which event loops count by
    body_s: float = BODY_S
    _readings: dict[Hashable, dict[Reading, None]] = field(default_factory=lambda: defaultdict(dict))
    """Of each tenant, the oldest first."""
    _held_bytes: dict[Hashable, int] = field(default_factory=lambda: defaultdict(int))
    _all_bytes: int = 0
    _next_chunk_s: dict[Hashable, float] = field(default_factory=dict)

    async def read(self, sender: Any, headers: Mapping[str, str], tenant_key: Hashable) -> bytes:
        """Return the body of a request, or what came of it before the connection was lost.

        ``sender`` is granian's: awaited, it returns the whole body; iterated, its pieces. ``headers`` finds a field by
        its name in lower case. A body with too large a Content-Length is left for the application to refuse; of one
        without a length, no more is read than shows its size. Raises ``BodyTooSlow``; ``RateLimited`` when the body is
        given up for another; ``LimitExceeded`` when it comes in too many small chunks.
        """
        is_chunked, length = "transfer-encoding" in headers, _length_of(headers)
        if not is_chunked and not 0 < length <= self.bytes_max:
            return b""
        began_s = self.clock()
        reading = Reading(tenant_key, asyncio.timeout_at(began_s + self.body_s))
        self._readings[tenant_key][reading] = None
        try:
            async with reading.deadline:
                if is_chunked or length > SMALL_BYTES:
                    return await self._read_pieces(reading, sender, is_chunked, began_s + self.body_s)
                self._hold(reading, length)
                whole: bytes = await sender()
                return whole
        except RuntimeError:  # granian's, for a connection that was lost
            return b""
        except TimeoutError:
            if not reading.is_given_up:
                raise BodyTooSlow from None
            refusal: Exception = RateLimited(GIVEN_UP, wait_s=1.0)
        except (RateLimited, LimitExceeded) as error:
            refusal = error
        finally:
            self._forget(reading)
        await asyncio.sleep(began_s + self.body_s - self.clock())  # a client refused at once would try again at once
        raise refusal

    async def _read_pieces(self, reading: Reading, sender: Any, is_chunked: bool, until_s: float) -> bytes:
        pieces, received, counted = [], 0, 0
        async for piece in sender:
            size = max(len(piece), CHUNK_BYTES_MIN if is_chunked else 0)
            received, counted = received + len(piece), counted + size
            pieces.append(piece)
            if received > self.bytes_max:
                break
            if counted > self.bytes_max + CHUNK_BYTES_MIN:  # the empty piece at the end is one more
                raise LimitExceeded(
                    f"a body of at most {self.bytes_max} bytes, each chunk counted for {CHUNK_BYTES_MIN}"
                )
            self._hold(reading, size)
            if len(piece) < CHUNK_BYTES_MIN and len(pieces) > CHUNKS_FREE:
                await self._wait_for_chunk(reading.tenant_key)
            if not reading.deadline.expired():
                reading.deadline.reschedule(until_s + received / BODY_BYTES_PER_S)
        return b"".join(pieces)

    async def _wait_for_chunk(self, tenant_key: Hashable) -> None:
        now_s = self.clock()
        turn_s = max(now_s, self._next_chunk_s.get(tenant_key, 0.0))
        self._next_chunk_s[tenant_key] = turn_s + 1 / CHUNKS_PER_S
        await asyncio.sleep(turn_s - now_s)

    # --- memory ---

    def _hold(self, reading: Reading, size: int) -> None:
        """Take ``size`` bytes of the tenant's share. Raises ``RateLimited`` when all its other bodies are younger."""
        tenant_key = reading.tenant_key
        if reading.is_given_up:  # its deadline has not ended it yet
            raise RateLimited(GIVEN_UP, wait_s=1.0)
        while self._held_bytes[tenant_key] + size > self._share_bytes(tenant_key):
            oldest = next(iter(self._readings[tenant_key]), reading)
            if oldest is reading:
                raise RateLimited(GIVEN_UP, wait_s=1.0)
            self._forget(oldest)
            if not oldest.deadline.expired():
                oldest.is_given_up = True
                oldest.deadline.reschedule(self.clock())
        reading.held_bytes += size
        self._held_bytes[tenant_key] += size
        self._all_bytes += size

    def _share_bytes(self, tenant_key: Hashable) -> int:
        """Return half of what the other tenants leave: so there is always some for one more."""
        return (HELD_BODIES * self.bytes_max - (self._all_bytes - self._held_bytes[tenant_key])) // 2

    def _forget(self, reading: Reading) -> None:
        """Give back the memory of a body; doing it twice is doing it once."""
        tenant_key, held = reading.tenant_key, reading.held_bytes
        reading.held_bytes = 0
        self._all_bytes -= held
        self._held_bytes[tenant_key] -= held
        self._readings[tenant_key].pop(reading, None)
        if not self._readings[tenant_key]:
            del self._readings[tenant_key], self._held_bytes[tenant_key]
            self._next_chunk_s.pop(tenant_key, None)


def _length_of(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "")
    return int(length) if LENGTH.fullmatch(length) else 0
