"""Bodies on their way: read without a thread, within a time, and with no more memory than there is for all of them.

A body has ``BODY_S`` to come, and longer as far as it comes at ``BODY_BYTES_PER_S``. What is held of unfinished bodies
is shared out between parties as places are (``model.turns``). A party that needs more than its share gives up the one
of its own that has been on its way for longest: who sends slowly makes room for who sends now, and is told so when its
time is over.

Everything here belongs to the thread of one event loop.
"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from identity.model.errors import LimitExceeded, RateLimited

BODY_S = 5.0
BODY_BYTES_PER_S = 16_384
"""As slow as a body may be: 128 kbit/s. Apache's mod_reqtimeout asks for 500 bytes/s after 20 s."""

SMALL_BYTES = 65_536
"""Read in one piece where the length is known: every form of the token service, and nearly every resource."""

CHUNK_BYTES_MIN = 512
"""A chunk counts for at least so much of what a body may have: each takes room, however little is in it."""

CHUNKS_FREE = 8
CHUNKS_PER_S = 500
"""Of one party, those that are smaller than that and come after the first ones of a body: each is work for us, and none
for who sends it."""

HELD_BODIES = 64
"""So many bodies of the largest permitted size may be on their way at once."""

GIVEN_UP = "too much of this is going on; ask again"
LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class BodyTooSlow(Exception):  # noqa: N818 - an answer, not a programming error
    """The body did not come in time."""


class Headers(Protocol):
    """Header fields by their names in lower case."""

    def get(self, key: str, default: str) -> str:
        """Return a value, or ``default`` when there is none."""
        ...

    def __contains__(self, key: str) -> bool:
        """Return whether there is such a field."""
        ...


class Sender(Protocol):
    """What granian hands over of a request: its body whole, or piece by piece."""

    def __call__(self) -> Awaitable[bytes]:
        """Return the whole body."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return its pieces."""
        ...


@dataclass(slots=True, eq=False)
class Reading:
    """One body on its way. ``held_bytes`` is what it takes of its party's share."""

    party: Hashable
    deadline: asyncio.Timeout
    held_bytes: int = 0
    is_given_up: bool = False


@dataclass(slots=True)
class Bodies:
    """All bodies that are on their way to one process."""

    bytes_max: int
    clock: Callable[[], float] = time.monotonic  # which event loops count by
    body_s: float = BODY_S
    _readings: dict[Hashable, dict[Reading, None]] = field(default_factory=lambda: defaultdict(dict))
    """Of each party, in the order in which they began."""
    _held_bytes: dict[Hashable, int] = field(default_factory=lambda: defaultdict(int))
    _all_bytes: int = 0
    _next_chunk_s: dict[Hashable, float] = field(default_factory=dict)

    async def read(self, sender: Sender, headers: Headers, party: Hashable) -> bytes:
        """Return the body that the application will ask for, or what came of it before the connection was lost.

        One that says that it is too large is left to be refused, and of one that does not say no more is read than
        shows it. Raises ``BodyTooSlow``, ``RateLimited`` when it is given up for another, ``LimitExceeded`` when it
        comes in crumbs.
        """
        is_chunked, length = "transfer-encoding" in headers, _length_of(headers)
        if not is_chunked and not 0 < length <= self.bytes_max:
            return b""
        began_s = self.clock()
        reading = Reading(party, asyncio.timeout_at(began_s + self.body_s))
        self._readings[party][reading] = None
        try:
            async with reading.deadline:
                if is_chunked or length > SMALL_BYTES:
                    return await self._read_pieces(reading, sender, is_chunked, began_s + self.body_s)
                self._hold(reading, length)
                return await sender()
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
        await asyncio.sleep(began_s + self.body_s - self.clock())  # whoever is told at once begins anew at once
        raise refusal

    async def _read_pieces(self, reading: Reading, sender: Sender, is_chunked: bool, until_s: float) -> bytes:
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
                await self._turn_of_chunk(reading.party)
            if not reading.deadline.expired():
                reading.deadline.reschedule(until_s + received / BODY_BYTES_PER_S)
        return b"".join(pieces)

    async def _turn_of_chunk(self, party: Hashable) -> None:
        now_s = self.clock()
        turn_s = max(now_s, self._next_chunk_s.get(party, 0.0))
        self._next_chunk_s[party] = turn_s + 1 / CHUNKS_PER_S
        await asyncio.sleep(turn_s - now_s)

    # --- memory ---

    def _hold(self, reading: Reading, size: int) -> None:
        """Take ``size`` bytes of the party's share. Raises ``RateLimited`` when all that it holds is younger."""
        party = reading.party
        if reading.is_given_up:  # it has heard nothing of that yet
            raise RateLimited(GIVEN_UP, wait_s=1.0)
        while self._held_bytes[party] + size > self._share_bytes(party):
            oldest = next(iter(self._readings[party]), reading)
            if oldest is reading:
                raise RateLimited(GIVEN_UP, wait_s=1.0)
            self._forget(oldest)
            if not oldest.deadline.expired():
                oldest.is_given_up = True
                oldest.deadline.reschedule(self.clock())
        reading.held_bytes += size
        self._held_bytes[party] += size
        self._all_bytes += size

    def _share_bytes(self, party: Hashable) -> int:
        """Half of what the other parties leave: so there is always some for one more."""
        return (HELD_BODIES * self.bytes_max - (self._all_bytes - self._held_bytes[party])) // 2

    def _forget(self, reading: Reading) -> None:
        """Give back what a body held; doing it twice is doing it once."""
        party, held = reading.party, reading.held_bytes
        reading.held_bytes = 0
        self._all_bytes -= held
        self._held_bytes[party] -= held
        self._readings[party].pop(reading, None)
        if not self._readings[party]:
            del self._readings[party], self._held_bytes[party]
            self._next_chunk_s.pop(party, None)


def _length_of(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if LENGTH.fullmatch(length) else 0
