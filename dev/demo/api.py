"""The clients of the demo: of the admin API, of SCIM as Entra sends it, and of the token endpoint."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
from identity_verifier import Introspector
from joserfc import jwt
from joserfc.jwk import ECKey

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_TYPES = {
    "id_token": "urn:ietf:params:oauth:token-type:id_token",
    "access_token": "urn:ietf:params:oauth:token-type:access_token",
}


class StepError(Exception):
    """A step had another outcome than it should; the message names both."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Api:
    """One caller of one part of the product, with its bearer token."""

    client: httpx2.Client
    base_url: str
    token: str

    def call(self, method: str, path: str, body: Any = None, **params: str) -> Answer:
        """Send one request."""
        response = self.client.request(
            method,
            self.base_url + path,
            json=body,
            params=params or None,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        return Answer(response.status_code, response.json() if response.content else {})


def expect(answer: Answer, status: int, what: str) -> Any:
    """Return the body of an answer that is as it should be. Raises ``StepError``."""
    if answer.status != status:
        raise StepError(f"{what}: expected {status}, got {answer.status}: {json.dumps(answer.body)[:600]}")
    return answer.body


@dataclass(frozen=True, slots=True)
class AgentClient:
    """An agent at the token endpoint, authenticated by its own key (private_key_jwt, RFC 10070)."""

    client: httpx2.Client
    issuer: str
    client_id: str
    key: ECKey = field(repr=False)

    def exchange(self, subject_token: str, subject_type: str, **parameters: str) -> Answer:
        """Exchange a subject token for a task token (RFC 8693 §2.1)."""
        assertion = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}
        form = exchange_form(subject_token, subject_type) | parameters | assertion
        response = self.client.post(f"{self.issuer}/oauth/token", data=form)
        return Answer(response.status_code, response.json())

    def assertion(self) -> str:
        """Return a fresh client assertion: the issuer is its only audience."""
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.client_id, "sub": self.client_id, "aud": self.issuer, "jti": str(uuid4())}
        claims |= {"iat": now, "exp": now + 60}
        return jwt.encode({"alg": "ES256", "typ": "client-authentication+jwt"}, claims, self.key)


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """The one client of a service, authenticated by its secret: it introspects the tokens that the service receives,
    and exchanges them where the service is an agent too.
    """

    client: httpx2.Client
    issuer: str
    client_id: str
    secret: str = field(repr=False)

    def introspector(self) -> Introspector:
        """Return the introspection client of the service (RFC 7662)."""
        return Introspector(f"{self.issuer}/oauth/introspect", self.client_id, self.secret)

    def exchange(self, received_token: str, **parameters: str) -> Answer:
        """Exchange a token that the service received for one for the next service (RFC 8693 §2.1)."""
        form = exchange_form(received_token, "access_token") | parameters
        response = self.client.post(f"{self.issuer}/oauth/token", data=form, auth=(self.client_id, self.secret))
        return Answer(response.status_code, response.json())


def exchange_form(subject_token: str, subject_type: str) -> dict[str, str]:
    """Return what every token exchange sends."""
    subject = {"subject_token": subject_token, "subject_token_type": TOKEN_TYPES[subject_type]}
    return {"grant_type": EXCHANGE} | subject
