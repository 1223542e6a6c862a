"""Two tenants that are alike to the last id, the people and agents in them, and the web application before them.

Both are made by the same steps with the same sequence of ids, so whatever mistakes one tenant for the other finds
something: every principal, client and delegation of one has its twin in the other. Only keys and secrets differ.
"""

import base64
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import Engine, text
from werkzeug.serving import make_server

from config.app import create_app
from config.settings import Settings
from identity.actions.clients import NewClient, register_client
from identity.actions.connections import (
    NewOidcConnection,
    create_oidc_connection,
    create_scim_connection,
    list_connections,
)
from identity.actions.delegations import NewDelegation, grant_delegation
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.events import list_events
from identity.actions.lifecycle import change_state
from identity.actions.provisioning import create_principal
from identity.actions.resources import register_resource
from identity.actions.signing_keys import KeyRing
from identity.actions.tenants import create_tenant
from identity.actions.upstream import UpstreamKeys
from identity.edge.runtime import Runtime
from identity.model.access import Caller, CallerKind
from identity.model.client import AuthMethod
from identity.model.connection import Connection, Dialect, Match
from identity.model.credential import hash_secret
from identity.model.event import RecordedEvent
from identity.model.ids import TenantId
from identity.model.lifecycle import Transition
from identity.model.principal import Kind, Profile
from identity.model.resource import DetailsType
from identity.outbound import make_fetch
from identity.store import Tx
from identity.store.transaction import make_engine, transaction
from tests.answers import access_token, ask_until_served
from tests.upstream_issuer import PORTAL, Upstream

BEGIN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EXTERNAL_URL = "https://identity.example"
ERP, CRM = "https://erp.example", "https://crm.example"
LOGIN = "https://login.example"  # the upstream issuer that both tenants trust, each with a key of its own
DIRECTORY = "directory"  # the SCIM connection through which people are provisioned
SCOPES = ("invoices.read", "invoices.pay")
DETAILS = ({"type": "invoice", "actions": ["read", "pay"], "constraints": {"max_amount": 500}},)
AGENTS = ("invoice-bot", "ocr-bot", "archive-bot", "mail-bot")
ADMIN_TOKEN = "an-administrator-of-the-tests-0123456789"
ADMINISTRATOR = Caller(CallerKind.ADMINISTRATOR, "administrator", "request-of-tests")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class Clock:
    """The wall clock, moved by hand."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client and what it proves itself with."""

    client_id: str
    key: ECKey | None = None
    secret: str | None = None

    def assertion(self, issuer: str, now: datetime, *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A client assertion that is right, but for what is changed; ``...`` leaves a claim out."""
        second = int(now.timestamp())
        right = {"iss": self.client_id, "sub": self.client_id, "aud": issuer, "jti": str(uuid4())}
        members = right | {"iat": second, "exp": second + 60} | claims
        members = {name: value for name, value in members.items() if value is not ...}
        named = {"alg": "ES256", "kid": "client-1", "typ": "client-authentication+jwt"} | dict(header or {})
        return jwt.encode({name: value for name, value in named.items() if value is not ...}, members, self.key)


@dataclass(frozen=True, slots=True)
class Agent(Client):
    """A client of an agent."""

    id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was written into one tenant. It does not change when the database is copied."""

    slug: str
    id: TenantId
    upstream: Upstream
    dana: UUID
    sam: UUID
    finance: UUID
    agents: Mapping[str, Agent]
    erp: Client
    crm: Client
    delegations: Mapping[str, UUID]


def plant(engine: Engine, slug: str, encryption: EnvelopeEncryption) -> Seeded:
    """Write one tenant. The same steps give the same ids."""
    numbers = itertools.count(1)
    tenant_id = TenantId(uuid4())
    upstream = Upstream(LOGIN, ECKey.generate_key("P-256"))
    with transaction(engine, tenant_id, ids=lambda: UUID(int=7 << 76 | 2 << 62 | next(numbers))) as tx:
        create_tenant(tx, slug=slug, display_name=slug.title(), encryption=encryption, caller=ADMINISTRATOR, now=BEGIN)
        create_scim_connection(
            tx, name=DIRECTORY, dialect=Dialect.RFC, token=directory_token(slug), caller=ADMINISTRATOR, now=BEGIN
        )
        trust(tx, upstream.issuer, jwks=upstream.jwks)
        dana, sam = (provision(tx, Kind.USER, name) for name in ("dana", "sam"))
        finance = provision(tx, Kind.GROUP, "Finance", members=frozenset({dana, sam}))
        erp, crm = (resource_server(tx, audience) for audience in (ERP, CRM))
        agents = {name: employ(tx, name, dana, signs=name == "invoice-bot") for name in AGENTS}
        delegations = {name: let_act(tx, agents[name].id, finance) for name in AGENTS}
    return Seeded(slug, tenant_id, upstream, dana, sam, finance, agents, erp, crm, delegations)


def trust(tx: Tx, issuer: str, **more: Any) -> UUID:
    """Trust an upstream issuer, whose ``sub`` is the externalId that the directory gives."""
    values = {"jwks": None, "jwks_uri": None, "audiences": (PORTAL,), "match": Match.EXTERNAL_ID} | more
    allowed = values.pop("allow_development", False)
    members = {"subject_claim": "sub", "provisioned_by": directory(tx).id} | values
    return create_oidc_connection(
        tx,
        NewOidcConnection(name=issuer, issuer=issuer, **members),
        external_url=EXTERNAL_URL,
        allow_loopback=True,
        allow_development=allowed,
        caller=ADMINISTRATOR,
        now=BEGIN,
    ).id


def directory_token(slug: str) -> str:
    """The bearer token of the directory of one tenant."""
    return f"idf_scim_directory_of_{slug}_0123456789abcdef"


def directory(tx: Tx) -> Connection:
    """The connection through which people are provisioned."""
    return next(found for found in list_connections(tx, after=None, limit=50) if found.name == DIRECTORY)


def provision(tx: Tx, kind: Kind, name: str, *, now: datetime = BEGIN, **more: Any) -> UUID:
    """Write a principal; its externalId is ``ext-`` and its name. People come through the directory's connection."""
    caller = ADMINISTRATOR
    if kind is Kind.USER:
        source = directory(tx).id
        caller = Caller(CallerKind.CONNECTION, str(source), ADMINISTRATOR.request_id, connection_id=source)
    members = more.pop("members", frozenset())
    profile = Profile(document={"active": True}, name=name, external_id=f"ext-{name}", **more)
    return create_principal(tx, kind, profile, members=members, caller=caller, now=now).principal.id


def resource_server(tx: Tx, audience: str) -> Client:
    """Register a resource server, with a client that introspects."""
    register_resource(
        tx,
        audience=audience,
        scopes=SCOPES,
        authorization_details_types=(DetailsType("invoice", SCOPES),),
        external_url=EXTERNAL_URL,
        caller=ADMINISTRATOR,
        now=BEGIN,
    )
    return register(tx, audience=audience)


def employ(tx: Tx, name: str, owner: UUID, *, signs: bool = False) -> Agent:
    """Write an agent with an owner and a client."""
    agent_id = provision(tx, Kind.AGENT, name, owners=frozenset({owner}))
    client = register(tx, principal_id=agent_id, signs=signs)
    return Agent(client.client_id, client.key, client.secret, agent_id)


def register(tx: Tx, *, principal_id: UUID | None = None, audience: str | None = None, signs: bool = False) -> Client:
    key, secret = ECKey.generate_key("P-256"), f"idf_client_{uuid4().hex}"
    wanted = NewClient(
        client_name=None,
        principal_id=principal_id,
        audience=audience,
        auth_method=AuthMethod.PRIVATE_KEY_JWT if signs else AuthMethod.CLIENT_SECRET_BASIC,
        jwks={"keys": [key.as_dict(private=False) | {"kid": "client-1"}]} if signs else None,
        scopes=("invoices.read",) if principal_id else (),
        grant_types=None,
    )
    client = register_client(tx, wanted, new_secret=secret, caller=ADMINISTRATOR, now=BEGIN)
    return Client(client.client_id, key if signs else None, None if signs else secret)


def let_act(tx: Tx, actor_id: UUID, group_id: UUID | None, **changed: Any) -> UUID:
    """Let an agent act for the members of a group at the ERP."""
    grant = NewDelegation(
        actor_id, None, group_id, ERP, SCOPES, DETAILS, max_lifetime_s=120, max_depth=4, expires_at=None
    )
    wanted = replace(grant, **changed)
    return grant_delegation(tx, wanted, caller=ADMINISTRATOR, now=BEGIN).id


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as those see it who speak HTTP to it, and as its database does."""

    seeded: Seeded
    runtime: Runtime
    http: httpx2.Client

    @property
    def slug(self) -> str:
        return self.seeded.slug

    @property
    def issuer(self) -> str:
        return f"{EXTERNAL_URL}/t/{self.slug}"

    @property
    def now(self) -> datetime:
        return self.runtime.clock()

    def agent(self, name: str = "invoice-bot") -> Agent:
        return self.seeded.agents[name]

    def post(self, endpoint: str, client: Client | None, **form: Any) -> httpx2.Response:
        """POST a form to an endpoint of the token service, authenticated as ``client``."""
        auth = None
        if client is not None and client.key is not None:
            assertion = client.assertion(self.issuer, self.now)
            form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion} | form
        elif client is not None:
            auth = (client.client_id, client.secret or "")
        return self.http.post(f"/t/{self.slug}/oauth/{endpoint}", data=form, auth=auth)

    def ask(self, client: Client | None, **form: Any) -> httpx2.Response:
        return self.post("token", client, **form)

    def own_token(self, name: str, **form: Any) -> str:
        """The token that an agent gets for itself."""
        agent = self.agent(name)
        return access_token(ask_until_served(lambda: self.ask(agent, grant_type="client_credentials", **form)))

    def id_token(self, **claims: Any) -> str:
        return self.seeded.upstream.sign(self.now, **claims)

    def exchange(
        self, client: Client | str, subject_token: str | None = None, *, person: str = "sam", **form: Any
    ) -> httpx2.Response:
        """Ask to exchange a task token of ours; or when none is given, a person's ID token for the ERP."""
        asker = self.agent(client) if isinstance(client, str) else client
        right = {"grant_type": EXCHANGE, "subject_token": subject_token, "subject_token_type": f"{TYPE}access_token"}
        if subject_token is None:
            id_token = self.id_token(sub=f"ext-{person}")
            right |= {"subject_token": id_token, "subject_token_type": f"{TYPE}id_token", "resource": ERP}
        wanted = {name: value for name, value in (right | form).items() if value is not ...}
        return self.ask(asker, **wanted)

    def task_token(self, name: str = "invoice-bot", subject_token: str | None = None, **form: Any) -> str:
        return access_token(ask_until_served(lambda: self.exchange(name, subject_token, **form)))

    def chain(self, *names: str) -> list[str]:
        """The task tokens of agents that hand on one to the next."""
        tokens: list[str] = []
        for name in names:
            tokens.append(self.task_token(name, tokens[-1] if tokens else None))
        return tokens

    def introspect(self, token: str, client: Client | None = None) -> dict[str, Any]:
        answer = self.post("introspect", client or self.seeded.erp, token=token)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def is_live(self, token: str, client: Client | None = None) -> bool:
        answer = self.introspect(token, client)
        assert answer["active"] is True or answer == {"active": False}
        return answer["active"] is True

    def tx(self) -> AbstractContextManager[Tx]:
        return transaction(self.runtime.engine, self.seeded.id)

    def befall(self, principal_id: UUID, verb: Transition) -> None:
        """Apply a transition to a principal, as an administrator."""
        with self.tx() as tx:
            change_state(tx, principal_id, verb, reason="test", caller=ADMINISTRATOR, now=self.now)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement as the application's role; ``:tenant`` is this one."""
        with self.tx() as tx:
            found = tx.execute(text(statement), {"tenant": self.seeded.id} | values)
            return list(found) if found.returns_rows else []

    def events(self, **which: Any) -> list[RecordedEvent]:
        with self.tx() as tx:
            return list(list_events(tx, limit=1_000, **which))

    def last_event(self) -> RecordedEvent:
        return self.events()[-1]


@dataclass(frozen=True, slots=True)
class TwoTenants:
    """Both tenants, the clock that they live by, and the application that serves them."""

    acme: Tenant
    rival: Tenant
    clock: Clock
    runtime: Runtime
    app: Flask
    http: httpx2.Client


@dataclass(frozen=True, slots=True)
class Web:
    """The application on a loopback port; its runtime may change from test to test."""

    app: Flask
    http: httpx2.Client

    def two_tenants(self, runtime: Runtime, seeded: tuple[Seeded, Seeded]) -> TwoTenants:
        clock = runtime.clock
        assert isinstance(clock, Clock)
        self.app.extensions["identity"] = runtime
        acme, rival = (Tenant(each, runtime, self.http) for each in seeded)
        return TwoTenants(acme, rival, clock, runtime, self.app, self.http)


@contextmanager
def serve(runtime: Runtime, settings: Settings) -> Iterator[Web]:
    """Serve the application over HTTP on loopback."""
    app = create_app(settings, runtime)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=20) as http:
            yield Web(app, http)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_runtime(
    database_url: str, encryption: EnvelopeEncryption, fetch: Callable[[str], bytes] | None = None
) -> Runtime:
    """What the edges share, with a clock of ours."""
    return Runtime(
        engine=make_engine(database_url, pool_size=16),
        encryption=encryption,
        keys=KeyRing(encryption),
        upstream_keys=UpstreamKeys(fetch or make_fetch(allow_loopback=True)),
        external_url=EXTERNAL_URL,
        admin_token_hash=hash_secret(ADMIN_TOKEN),
        clock=Clock(),
        allow_loopback=True,
    )


def claims_in(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def actors_in(token: str) -> list[str]:
    """The actors that a token names, the present one first."""
    found, act = [], claims_in(token).get("act")
    while act:
        found.append(act["sub"])
        act = act.get("act")
    return found
