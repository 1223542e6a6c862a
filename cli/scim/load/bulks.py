"""Bulk requests within the server's limits, sent again after ``Retry-After`` or a lost response.

To send a Bulk again does no harm: what was created the first time is answered as there already (409 ``uniqueness``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from cli.problems import NOT_AUTHENTICATED, UNREACHABLE, Refused, printable
from cli.scim.expectations import Answer, answer_of
from cli.scim.load.lines import Line
from scim.bulk.request import REQUEST_SCHEMA

ATTEMPTS = 6
PAUSE_S = 0.5  # before the second attempt; doubled before each further one
PAUSE_S_MAX = 300.0  # as long as a server may make us wait
AGAIN = frozenset({429, 500, 502, 503, 504})
ANSWER_BYTES_MAX = 16 * 1024 * 1024
OPERATIONS_MAX = 500  # in one Bulk of ours, so that it takes seconds
BYTES_MAX = 1024 * 1024
NUMBER_MAX = 10**12  # lines of a file
OPEN, CLOSE = b'{"schemas":["%b"],"Operations":[' % REQUEST_SCHEMA.encode(), b"]}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one Bulk: what the server advertises (RFC 7643 §5), and no more than we care to send."""

    operations: int
    size: int  # bytes

    def bytes_of_a_resource(self, endpoint: str) -> int:
        """Return how long a resource may be to fit into a Bulk of its own."""
        around = Line(NUMBER_MAX, 0, b"").operation(endpoint)
        return max(1, self.size - len(OPEN) - len(around) - len(CLOSE))

    def have_room(self, batch: Sequence[bytes], operation: bytes) -> bool:
        """Say whether one more operation may join a Bulk that has some already."""
        size = len(OPEN) + sum(map(len, batch)) + len(batch) + len(operation) + len(CLOSE)
        return len(batch) < self.operations and size <= self.size


@dataclass(frozen=True, slots=True)
class Bulks:
    """One server's /Bulk. ``pause`` waits so many seconds."""

    http: httpx2.Client
    pause: Callable[[float], None]

    def limits(self) -> Limits:
        """Return what the server's ServiceProviderConfig allows. Raises ``Refused``."""
        answer = self._request("GET", "/ServiceProviderConfig")
        bulk = answer.member("bulk")
        if answer.status != 200 or not isinstance(bulk, dict):
            raise Refused(f"{self.http.base_url} answers {answer.status}, not as SCIM does: is BASE_URL right?", 1)
        if bulk.get("supported") is not True:
            raise Refused("this server supports no Bulk", 1)
        return Limits(
            min(OPERATIONS_MAX, _positive(bulk.get("maxOperations"), OPERATIONS_MAX)),
            min(BYTES_MAX, _positive(bulk.get("maxPayloadSize"), BYTES_MAX)),
        )

    def send(self, operations: Sequence[bytes]) -> Answer:
        """Return the answer to a Bulk. Raises ``Refused`` when there is none, or none of a SCIM server."""
        return self._request("POST", "/Bulk", OPEN + b",".join(operations) + CLOSE)

    def get_or_none(self, path: str) -> Answer | None:
        """Return the answer to a GET that a load can do without, or None."""
        try:
            return self._answer("GET", path, None)
        except (httpx2.HTTPError, Refused):
            return None

    def _request(self, method: str, path: str, body: bytes | None = None) -> Answer:
        for attempt in range(ATTEMPTS):
            wait_s = PAUSE_S * 2**attempt
            try:
                answer = self._answer(method, path, body)
            except httpx2.HTTPError as error:
                lost = f"does not answer ({type(error).__name__})"
            else:
                if answer.status in (401, 403):
                    raise Refused(f"the server refuses this token ({answer.status})", NOT_AUTHENTICATED)
                if answer.status not in AGAIN:
                    return answer
                lost = f"answers {answer.status}: {printable(answer.member('detail') or answer.text[:80])}"
                wait_s = retry_after(answer, datetime.now(UTC)) or wait_s
            if attempt + 1 < ATTEMPTS:
                self.pause(min(wait_s, PAUSE_S_MAX))
        raise Refused(f"{self.http.base_url}{path.lstrip('/')} {lost}", UNREACHABLE)

    def _answer(self, method: str, path: str, body: bytes | None) -> Answer:
        with self.http.stream(method, path, content=body) as found:
            text = bytearray()
            for chunk in found.iter_bytes():
                text += chunk
                if len(text) > ANSWER_BYTES_MAX:
                    raise Refused(f"an answer has more than {ANSWER_BYTES_MAX} bytes", 1)
        return answer_of(found.status_code, found.headers, bytes(text))


def _positive(value: Any, otherwise: int) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if is_number else otherwise


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Return the seconds of ``Retry-After`` (RFC 9110 §10.2.3: a number or an instant), or None."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), PAUSE_S_MAX)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None
