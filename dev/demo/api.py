"""What the story's parties use: the admin API, a SCIM client as Entra is one, token requests of agents and services."""

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
CORE = "urn:ietf:params:scim:schemas:core:2.0"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class StoryError(Exception):
    """A step did not end as it should; the message says which and what came instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

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
    """Return the body of an answer that is as it should be. Raises ``StoryError``."""
    if answer.status != status:
        raise StoryError(f"{what}: expected {status}, got {answer.status}: {json.dumps(answer.body)[:600]}")
    return answer.body


def entra_user(user_name: str, external_id: str, given: str, family: str, title: str) -> dict[str, Any]:
    """Return a user as Entra posts one."""
    return {
        "schemas": [f"{CORE}:User", ENTERPRISE],
        "externalId": external_id,
        "userName": user_name,
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": user_name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": f"{given} {family}", "givenName": given, "familyName": family},
        "displayName": f"{given} {family}",
        "title": title,
        ENTERPRISE: {"department": "Finance"},
        "roles": [],
    }


def entra_group(display_name: str, external_id: str) -> dict[str, Any]:
    """Return a group as Entra posts one, with the schema that no standard knows."""
    return {
        "schemas": [f"{CORE}:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": external_id,
        "displayName": display_name,
        "meta": {"resourceType": "Group"},
    }


def entra_patch(op: str, path: str, value: Any) -> dict[str, Any]:
    """Return a PATCH with Entra's capital operations and strings for booleans."""
    return {"schemas": [PATCH_OP], "Operations": [{"op": op, "path": path, "value": value}]}


@dataclass(frozen=True, slots=True)
class AgentClient:
    """An agent at the token endpoint, authenticated by its own key (private_key_jwt, RFC 10070)."""

    client: httpx2.Client
    issuer: str
    client_id: str
    key: ECKey = field(repr=False)

    def exchange(self, subject_token: str, subject_type: str, **parameters: str) -> Answer:
        """Exchange a subject token for a task token (RFC 8693 §2.1)."""
        form = exchange_form(subject_token, subject_type) | parameters
        form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}
        response = self.client.post(f"{self.issuer}/oauth/token", data=form)
        return Answer(response.status_code, response.json())

    def assertion(self) -> str:
        """Return a fresh client assertion: the issuer is its only audience."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + 60,
        }
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
        """Return what asks the issuer whether a received token is still active."""
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
