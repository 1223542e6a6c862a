"""What is in the database before anything is measured: a tenant with its people, and others beside it."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import Engine

from identity.actions.clients import NewClient, register_client
from identity.actions.connections import NewOidcConnection, create_oidc_connection, create_scim_connection
from identity.actions.delegations import NewDelegation, grant_delegation
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.provisioning import create_principal
from identity.actions.resources import register_resource
from identity.actions.tenants import create_tenant
from identity.model.access import Caller, CallerKind
from identity.model.client import AuthMethod
from identity.model.connection import Dialect, Match
from identity.model.ids import TenantId
from identity.model.principal import Email, Kind, Profile
from identity.store import Tx
from identity.store.transaction import transaction

ERP = "https://erp.example"
SCOPES = ("invoices.read", "invoices.pay")
UPSTREAM = "https://login.example"
PORTAL = "portal"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SIZE = 50
BATCH = 1_000  # users written in one transaction
ADMINISTRATOR = Caller(CallerKind.ADMINISTRATOR, "benchmark", "request-of-benchmark")
LIFETIME_S = 300


@dataclass(frozen=True, slots=True)
class Directory:
    """One tenant and the credentials of those who will call."""

    slug: str
    issuer: str
    scim_token: str
    users: tuple[UUID, ...]
    upstream_key: ECKey
    agent_client_id: str
    agent_key: ECKey
    erp_client_id: str
    erp_secret: str

    def id_token(self, number: int) -> str:
        """Return what the upstream issuer says of a user who signed in."""
        second = int(datetime.now(UTC).timestamp())
        claims = {"iss": UPSTREAM, "aud": PORTAL, "sub": f"ext-{number}", "iat": second, "exp": second + 3_600}
        return jwt.encode({"alg": "ES256", "kid": "login-1", "typ": "JWT"}, claims, self.upstream_key)

    def assertion(self) -> str:
        """Return a fresh client assertion of the agent."""
        second = int(datetime.now(UTC).timestamp())
        claims = {"iss": self.agent_client_id, "sub": self.agent_client_id, "aud": self.issuer, "jti": str(uuid4())}
        header = {"alg": "ES256", "kid": "agent-1", "typ": "client-authentication+jwt"}
        return jwt.encode(header, claims | {"iat": second, "exp": second + LIFETIME_S}, self.agent_key)


def plant_directory(engine: Engine, external_url: str, encryption: EnvelopeEncryption, *, users: int) -> Directory:
    """Write a tenant with ``users`` people, each in two groups, and an agent that may act for all of them."""
    tenant_id, slug, now = TenantId(uuid4()), f"bench-{secrets.token_hex(4)}", datetime.now(UTC)
    scim_token, erp_secret = (f"idf_{name}_{secrets.token_urlsafe(32)}" for name in ("scim", "client"))
    upstream_key, agent_key = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    with transaction(engine, tenant_id) as tx:
        create_tenant(tx, slug=slug, display_name=slug, encryption=encryption, caller=ADMINISTRATOR, now=now)
        source = _connect(tx, scim_token, upstream_key, now)
    people = tuple(_provision(engine, tenant_id, source, users))
    with transaction(engine, tenant_id) as tx:
        everyone = _group(tx, source, "Everyone", people, now)
        agent_client, erp_client = _employ(tx, source, everyone, people[0], agent_key, erp_secret, now)
    return Directory(
        slug=slug,
        issuer=f"{external_url}/t/{slug}",
        scim_token=scim_token,
        users=people,
        upstream_key=upstream_key,
        agent_client_id=agent_client,
        agent_key=agent_key,
        erp_client_id=erp_client,
        erp_secret=erp_secret,
    )


def _connect(tx: Tx, scim_token: str, upstream_key: ECKey, now: datetime) -> Caller:
    made = create_scim_connection(
        tx, name="people", dialect=Dialect.RFC, token=scim_token, caller=ADMINISTRATOR, now=now
    )
    jwk = upstream_key.as_dict(private=False) | {"kid": "login-1", "alg": "ES256", "use": "sig"}
    trusted = NewOidcConnection(
        name="sign-in", issuer=UPSTREAM, jwks={"keys": [jwk]}, jwks_uri=None, audiences=(PORTAL,),
        subject_claim="sub", match=Match.EXTERNAL_ID, provisioned_by=made.id,
    )  # fmt: skip
    create_oidc_connection(
        tx, trusted, external_url="https://identity.example", allow_loopback=False, caller=ADMINISTRATOR, now=now
    )
    return Caller(CallerKind.CONNECTION, str(made.id), "request-of-benchmark", made.id, "rfc")


def _provision(engine: Engine, tenant_id: TenantId, source: Caller, users: int) -> Iterator[UUID]:
    for numbers in batched_numbers(users):
        now = datetime.now(UTC)
        with transaction(engine, tenant_id) as tx:
            batch = [_create(tx, Kind.USER, user_profile(number), source, now) for number in numbers]
            for number in range(0, len(batch), GROUP_SIZE):
                _group(tx, source, f"Team {numbers[number]}", batch[number : number + GROUP_SIZE], now)
        yield from batch


def batched_numbers(count: int) -> Iterator[range]:
    """Yield the numbers below ``count``, some at a time."""
    for begin in range(0, count, BATCH):
        yield range(begin, min(begin + BATCH, count))


def _create(tx: Tx, kind: Kind, profile: Profile, source: Caller, now: datetime, **more: Any) -> UUID:
    return create_principal(tx, kind, profile, caller=source, now=now, **more).principal.id


def _group(tx: Tx, source: Caller, name: str, members: Any, now: datetime) -> UUID:
    profile = Profile(document={"displayName": name}, name=name, display_name=name)
    return _create(tx, Kind.GROUP, profile, source, now, members=frozenset(members))


def user_document(number: int | str) -> dict[str, Any]:
    """Return a user of the usual size."""
    name = f"user-{number}@example.com"
    return {
        "userName": name,
        "externalId": f"ext-{number}",
        "active": True,
        "displayName": f"Person Number {number}",
        "name": {"formatted": f"Person Number {number}", "givenName": "Person", "familyName": f"Number {number}"},
        "title": "Clerk",
        "emails": [{"value": name, "type": "work", "primary": True}],
        "phoneNumbers": [{"value": "+49 30 5550100", "type": "work"}],
    }


def user_profile(number: int) -> Profile:
    """Return the same user as the store takes it."""
    document = user_document(number)
    return Profile(
        document=document,
        name=document["userName"],
        external_id=document["externalId"],
        display_name=document["displayName"],
        emails=(Email(document["userName"], "work"),),
    )


def _employ(
    tx: Tx, source: Caller, everyone: UUID, owner: UUID, key: ECKey, erp_secret: str, now: datetime
) -> tuple[str, str]:
    register_resource(
        tx,
        audience=ERP,
        scopes=SCOPES,
        authorization_details_types=(),
        external_url="https://identity.example",
        caller=ADMINISTRATOR,
        now=now,
    )
    profile = Profile(
        document={"agentUserName": "invoice-bot", "active": True}, name="invoice-bot", owners=frozenset({owner})
    )
    agent = _create(tx, Kind.AGENT, profile, source, now)
    jwks = {"keys": [key.as_dict(private=False) | {"kid": "agent-1"}]}
    agent_client = register_client(
        tx,
        NewClient(None, agent, None, AuthMethod.PRIVATE_KEY_JWT, jwks, (), None),
        new_secret="", caller=ADMINISTRATOR, now=now,
    )  # fmt: skip
    erp_client = register_client(
        tx,
        NewClient(None, None, ERP, AuthMethod.CLIENT_SECRET_BASIC, None, (), None),
        new_secret=erp_secret, caller=ADMINISTRATOR, now=now,
    )  # fmt: skip
    grant = NewDelegation(
        actor_id=agent, subject_id=None, subject_group_id=everyone, resource=ERP, scopes=SCOPES,
        authorization_details=(), max_lifetime_s=LIFETIME_S, max_depth=2, expires_at=None,
    )  # fmt: skip
    grant_delegation(tx, grant, caller=ADMINISTRATOR, now=now)
    return agent_client.client_id, erp_client.client_id
