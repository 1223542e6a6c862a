"""The access log: one line of JSON for each request, answered or refused, written after the response is sent.

It holds no path, query or header that a caller chose: the route is the rule that matched, the caller a kind and an id.
A request that was refused before it was read has neither.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from identity.edge.metrics import METHODS
from server.telemetry import SECRET_LOOKS

Known = Mapping[str, Any]

ID_LENGTH_MAX = 39
"""Of a request id that a caller chose: a longer one may be a secret that was sent by mistake."""


class AccessLog:
    """Writes each line with one write, past the other logs: it is called for every request."""

    def __init__(self, stream: TextIO) -> None:
        self._write = stream.write  # of standard error, which keeps no line back

    def note(
        self, method: str, status: int, tenant: str | None, request_id: str | None, took_s: float, known: Known
    ) -> None:
        """Write the line of a request. ``known`` is what the application bound to it, nothing where it was refused
        unread; ``tenant`` is then the one that the path names, if this process knows it.
        """
        line = {
            "request_id": _plain(request_id),
            "tenant": known.get("tenant", tenant),
            "caller": known.get("caller"),
            "method": method if method in METHODS else "other",
            "route": known.get("route"),
            "status": status,
            "ms": round(took_s * 1000, 1),
            "event": "request",
            "logger": "access",
            "level": "info",
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        self._write(json.dumps(line) + "\n")


def _plain(request_id: str | None) -> str | None:
    if request_id is None or len(request_id) <= ID_LENGTH_MAX:
        return request_id
    return SECRET_LOOKS.sub("[redacted]", request_id)
