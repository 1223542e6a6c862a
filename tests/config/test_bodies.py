"""Bodies on their way: how much of one is read, for how long, and which of many is given up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from identity.model.errors import LimitExceeded, RateLimited
from server.request_bodies import CHUNK_BYTES_MIN, CHUNKS_FREE, HELD_BODIES, SMALL_BYTES, BodyTooSlow, RequestBodies

LIMIT = 100_000
LONG_S, SHORT_S = 60.0, 0.05
LARGE = SMALL_BYTES + 1


@dataclass
class Sender:
    """A client that sends ``pieces``, and then nothing more unless the body ``ends``."""

    pieces: list[bytes]
    ends: bool = True
    taken: list[bytes] = field(default_factory=list)

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken.append(piece)
            yield piece
        if not self.ends:
            await asyncio.Event().wait()


def length(size: int) -> dict[str, str]:
    return {"content-length": str(size)}


CHUNKED = {"transfer-encoding": "chunked"}


def read(sender: Sender, headers: dict[str, str], body_s: float = LONG_S) -> bytes:
    async def run() -> bytes:
        return await RequestBodies(LIMIT, body_s=body_s).read(sender, headers, "acme")

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "pieces", "expected"),
    [
        ({}, [b"1234"], b""),
        (length(4), [b"12", b"34"], b"1234"),
        (length(LARGE), [b"1" * LARGE], b"1" * LARGE),
        (length(LARGE), [b"12"], b"12"),  # cut short: the application says so
        (length(LIMIT + 1), [b"1" * 9], b""),  # larger than the limit, and says so: the application refuses it
        ({"content-length": "9" * 5_000}, [b"1234"], b""),
        ({"content-length": "-1"}, [b"1234"], b""),
        ({"content-length": "x"}, [b"1234"], b""),
        (CHUNKED, [b"12", b"34", b""], b"1234"),
        (CHUNKED | length(2), [b"1234"], b"1234"),
        (CHUNKED, [b"1" * LIMIT, b"2", b"3"], b"1" * LIMIT + b"2"),  # no more is read than shows that it is too large
    ],
)
def test_no_more_of_a_body_is_read_than_its_length_and_the_limit_say(
    headers: dict[str, str], pieces: list[bytes], expected: bytes
) -> None:
    sender = Sender(pieces)
    assert read(sender, headers) == expected
    assert sum(map(len, sender.taken)) == len(expected)


@pytest.mark.parametrize(
    ("headers", "pieces"),
    [(length(4), []), (length(4), [b"123"]), (length(LARGE), [b"123"]), (CHUNKED, []), (CHUNKED, [b"1"])],
)
def test_a_body_that_does_not_come_in_time_is_given_up(headers: dict[str, str], pieces: list[bytes]) -> None:
    with pytest.raises(BodyTooSlow):
        read(Sender(pieces, ends=False), headers, SHORT_S)


def test_a_large_body_has_as_much_longer_as_its_bytes_may_take() -> None:
    """What came last is looked for after the time of a small one: the deadline has moved on with every piece."""
    pieces = [b"1" * 16_384] * 6

    class Slow(Sender):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self.pieces:
                yield piece
                await asyncio.sleep(SHORT_S)

    assert read(Slow(pieces), length(6 * 16_384), 2 * SHORT_S) == b"".join(pieces)


def test_a_body_of_a_lost_connection_is_what_the_application_refuses() -> None:
    class Lost(Sender):
        async def __call__(self) -> bytes:
            raise RuntimeError("RSGIProtocolError")

    assert read(Lost([]), length(4)) == b""


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The parties of the chunks that wait; they do not."""
    noted: list[object] = []

    async def note(_: RequestBodies, party: object) -> None:
        noted.append(party)

    monkeypatch.setattr(RequestBodies, "_wait_for_chunk", note)
    return noted


@pytest.mark.usefixtures("waited")
def test_a_body_in_crumbs_is_too_large_before_it_is_too_large() -> None:
    with pytest.raises(LimitExceeded):
        read(Sender([b"1"] * (LIMIT // CHUNK_BYTES_MIN + 2)), CHUNKED, SHORT_S)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [([b"1"] * CHUNKS_FREE, 0), ([b"1"] * (CHUNKS_FREE + 3), 3), ([b"1" * CHUNK_BYTES_MIN] * 50, 0)],
)
def test_small_chunks_of_a_party_wait_for_each_other_but_for_the_first_of_each_body(
    waited: list[object], pieces: list[bytes], expected: int
) -> None:
    read(Sender(pieces), CHUNKED)
    assert waited == ["acme"] * expected


async def _crowd(bodies: RequestBodies, party: str, number: int, size: int) -> list[asyncio.Task[bytes]]:
    tasks = [asyncio.create_task(bodies.read(Sender([], ends=False), length(size), party)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def _outcomes(tasks: list[asyncio.Task[bytes]]) -> list[type]:
    return [type(outcome) for outcome in await asyncio.gather(*tasks, return_exceptions=True)]


@pytest.mark.promise(8)
def test_who_needs_room_takes_it_from_the_oldest_of_its_own_party_and_from_nobody_else() -> None:
    share = HELD_BODIES // 2

    async def run() -> None:
        bodies = RequestBodies(1_000, body_s=0.5)
        others = await _crowd(bodies, "rival", 2, 1_000)
        slow = await _crowd(bodies, "acme", share - 1, 1_000)  # half of what the rival leaves
        for _ in range(3):
            assert await bodies.read(Sender([b"1" * 1_000]), length(1_000), "acme") == b"1" * 1_000
        assert await _outcomes(slow) == [RateLimited] + [BodyTooSlow] * (share - 2)
        assert await _outcomes(others) == [BodyTooSlow] * 2

    asyncio.run(run())


def test_what_is_held_is_given_back_whatever_becomes_of_a_body() -> None:
    async def run() -> None:
        bodies = RequestBodies(1_000, body_s=SHORT_S)
        tasks = await _crowd(bodies, "acme", 2 * HELD_BODIES, 1_000)
        assert bodies._all_bytes <= HELD_BODIES * 1_000 // 2
        await _outcomes(tasks)
        with pytest.raises(LimitExceeded):
            await bodies.read(Sender([b"1"] * 20), CHUNKED, "acme")
        cancelled = await _crowd(bodies, "acme", 1, 10)
        cancelled[0].cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        assert (bodies._all_bytes, bodies._readings, bodies._held_bytes, bodies._next_chunk_s) == (0, {}, {}, {})

    asyncio.run(run())
