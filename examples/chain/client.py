"""A part's client at the issuer of one tenant: it trades tokens (RFC 8693)."""

import json
import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
from identity_verifier import Introspector, Verifier

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"
HTTP = httpx2.Client(timeout=10, trust_env=False)


class RefusedError(Exception):
    """The issuer or the next service refused; the message is its reason."""


class UnavailableError(Exception):
    """No answer for now: nothing is known against the token, so it is worth trying again."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client at one issuer; each part has its own, in each tenant that it serves."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)

    def exchange(self, token: str, token_type: str = "access_token", **parameters: str) -> str:
        """Return a token in which this part is the present actor."""
        form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": TOKEN_TYPE + token_type}
        answer = send("POST", f"{self.issuer}/oauth/token", data=form | parameters, auth=self._credentials)
        return str(answer["access_token"])

    def renew(self, own_token: str) -> str:
        """Return a new token for one in which this part is the present actor, and which may have expired."""
        return self.exchange(own_token, renew="true")

    def is_active(self, token: str) -> bool:
        """Ask the issuer whether a token for this part's audience is still valid."""
        return Introspector(f"{self.issuer}/oauth/introspect", *self._credentials).is_active(token)

    @property
    def _credentials(self) -> tuple[str, str]:
        return self.client_id, self.client_secret


def send(method: str, url: str, **more: Any) -> Any:
    """Send a request and return the answer's JSON. Raises ``RefusedError``, ``UnavailableError``."""
    try:
        answer = HTTP.request(method, url, **more)
    except httpx2.TransportError as error:
        raise UnavailableError(f"{url}: {error}") from error
    if answer.is_server_error or answer.status_code == httpx2.codes.TOO_MANY_REQUESTS:
        raise UnavailableError(f"{url} answers {answer.status_code}")
    if answer.is_error:
        raise RefusedError(answer.json()["error_description"])
    return answer.json()


@cache
def clients() -> dict[str, Client]:
    """This part's clients by tenant. The path or the message names the tenant, never the token."""
    return {slug: Client(**client) for slug, client in json.loads(os.environ["CHAIN_CLIENTS"]).items()}


@cache
def verifier_of(tenant: str, audience: str) -> Verifier:
    return Verifier(clients()[tenant].issuer, audience)
