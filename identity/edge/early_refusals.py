"""Early refusals: the responses of each surface to a request that was not read. Made once, for they must be cheap."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from identity.edge.headers import HARDENING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

ANY_OTHER = "other"
REQUEST_ID = "0" * 32  # stands for the id of a request, which is as long
SCIM_ERROR = ["urn:ietf:params:scim:api:messages:2.0:Error"]


@dataclass(frozen=True, slots=True)
class EarlyRefusal:
    """One refusal of one surface."""

    status: str
    content_type: str
    body: bytes
    header: tuple[str, str] | None = None

    def answer(self, start: "StartResponse") -> Iterable[bytes]:
        """Write the response (PEP 3333)."""
        request_id = uuid4().hex
        fields = {
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            "Cache-Control": "no-store",
            "X-Request-Id": request_id,
        }
        start(self.status, [*fields.items(), *([self.header] if self.header else []), *HARDENING.items()])
        return [self.body.replace(REQUEST_ID.encode(), request_id.encode())]


def _on_every_surface(
    status: int, title: str, detail: str, oauth: str, code: str, header: tuple[str, str] | None = None
) -> dict[str, EarlyRefusal]:
    """Return a refusal in the form of SCIM (RFC 7644 §3.12), of OAuth (RFC 6749 §5.2) and as a problem (RFC 9457)."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "scim": ("application/scim+json", {"schemas": SCIM_ERROR, "status": str(status), "detail": detail}),
        "oauth": ("application/json", {"error": oauth, "error_description": detail}),
        ANY_OTHER: ("application/problem+json", problem | {"request_id": REQUEST_ID}),
    }
    line = f"{status} {title.upper()}"
    return {
        surface: EarlyRefusal(line, content_type, json.dumps(body).encode(), header)
        for surface, (content_type, body) in bodies.items()
    }


BUSY = "too much of this is going on; ask again"
SLOW = "the body of the request did not come in time"
LARGE = "the body of the request is too large, or came in too many small chunks"
AWAY = "the database does not answer; try again"
CLOSE = ("Connection", "close")  # RFC 9110 §15.5.9

NOT_THERE = _on_every_surface(404, "Not Found", "there is nothing at this path", "invalid_request", "not_found")
TOO_SLOW = _on_every_surface(408, "Request Timeout", SLOW, "invalid_request", "body_too_slow", CLOSE)
TOO_LARGE = _on_every_surface(413, "Content Too Large", LARGE, "invalid_request", "too_large", CLOSE)
TOO_MANY = _on_every_surface(
    429, "Too Many Requests", BUSY, "temporarily_unavailable", "too_often", ("Retry-After", "1")
)  # RFC 6585 §4
NOT_READY = _on_every_surface(
    503, "Service Unavailable", AWAY, "temporarily_unavailable", "unavailable", ("Retry-After", "2")
)
