"""One HTTP/1.1 request, for the wire and for an application in the same process."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is built before anything is measured."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def to_bytes(self, host: str) -> bytes:
        """Return the request as it is sent."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.method != "GET":
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def form(path: str, parameters: dict[str, str], **headers: str) -> Request:
    """Return a POSTed form."""
    sent = {"Content-Type": "application/x-www-form-urlencoded"} | headers
    return Request("POST", path, urlencode(parameters).encode(), sent)


def scim(method: str, path: str, token: str, body: dict[str, Any] | None = None) -> Request:
    """Return a SCIM request."""
    headers = {"Authorization": f"Bearer {token}"}
    if body is None:
        return Request(method, path, headers=headers)
    return Request(method, path, json.dumps(body).encode(), headers | {"Content-Type": "application/scim+json"})
