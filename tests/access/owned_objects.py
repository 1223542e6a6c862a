"""What one tenant has: one thing of every kind that a request may name, made over HTTP as its owners would make it."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from identity.model.ids import PLATFORM
from identity.store.tables import metadata

BEGIN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ADMIN_TOKEN = "an-administrator-of-the-tests-0123456789"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
AGENT = "urn:ietf:params:scim:schemas:core:2.0:Agent"
SERVICE_ACCOUNT = "urn:identity-foundation:scim:schemas:core:2.0:ServiceAccount"
PASSWORD = "canary-password-of-sam-0123456789abcdef"

Belongings = dict[str, str]


@dataclass(slots=True)
class Clock:
    """The wall clock of the house; each look moves it by a millisecond."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def basic(client_id: str, secret: str) -> str:
    """Return the Authorization header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@dataclass(slots=True)
class Owner:
    """Whoever makes a tenant and what is in it; ``has`` grows with every step."""

    http: FlaskClient
    slug: str
    has: Belongings = field(default_factory=dict)

    def _read(self, answer: TestResponse) -> Any:
        assert answer.status_code < 300, (answer.request.path, answer.status_code, answer.text)
        return answer.get_json(force=True)

    def administrate(self, path: str, body: Any, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return self._read(self.http.post(f"/admin/v1{path}", json=body, headers=headers, **more))

    def make(self, noun: str, body: Any) -> Any:
        return self.administrate(f"/tenants/{self.slug}/{noun}", body)

    def read(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return self._read(self.http.get(f"/admin/v1/tenants/{self.slug}{path}", headers=headers))

    def push(self, path: str, schema: str, **members: Any) -> str:
        headers = {"Authorization": f"Bearer {self.has['scim_token']}"}
        body = {"schemas": [schema], **members}
        made = self._read(self.http.post(f"/t/{self.slug}/scim/v2{path}", json=body, headers=headers))
        return str(made["id"])

    def push_later(self, name: str, password: str) -> str:
        """Ask for a user that the workers shall create; return by what the outcome will be known."""
        headers = {"Authorization": f"Bearer {self.has['scim_token']}", "Prefer": "respond-async"}
        made = {"schemas": [USER], "userName": name, "password": password}
        operation = {"method": "POST", "path": "/Users", "bulkId": "later", "data": made}
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]}
        answer = self.http.post(f"/t/{self.slug}/scim/v2/Bulk", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.headers["Set-Txn"]

    def open_task(self, purpose: str) -> str:
        headers = {"Authorization": f"Bearer {self.has['agent_token']}"}
        made = self._read(self.http.post(f"/t/{self.slug}/tasks", json={"purpose": purpose}, headers=headers))
        return str(made["txn"])

    def token(self, client: str, **form: str) -> str:
        headers = {"Authorization": basic(self.has[client], self.has[f"{client}_secret"])}
        answer = self._read(self.http.post(f"/t/{self.slug}/oauth/token", data=form, headers=headers))
        return str(answer["access_token"])


def settle(http: FlaskClient, slug: str) -> Belongings:
    """Make a tenant and one thing of every kind in it; return the name of each."""
    owner = Owner(http, slug)
    owner.has |= {"tenant": slug, "audience": f"https://erp.{slug}.example", "password": PASSWORD + slug}
    owner.administrate("/tenants", {"slug": slug, "display_name": slug.title()})
    for step in (connect, define, provision, register, delegate, act, look_up):
        step(owner)
    return owner.has


def connect(owner: Owner) -> None:
    made = owner.make("connections", {"kind": "scim", "name": "entra", "dialect": "entra"})
    owner.has |= {"connection": made["id"], "scim_token": made["token"]}
    key = ECKey.generate_key("P-256")
    public = key.as_dict(private=False) | {"kid": "login-1", "alg": "ES256", "use": "sig"}
    issuer = f"https://login.{owner.slug}.example"
    body = {"kind": "oidc", "name": "login", "issuer": issuer, "jwks": {"keys": [public]}, "audiences": ["portal"]}
    owner.has["oidc"] = owner.make("connections", body)["id"]
    second = int(BEGIN.timestamp())
    claims = {"iss": issuer, "aud": "portal", "sub": f"subject-{owner.slug}", "iat": second, "exp": second + 3000}
    owner.has["id_token"] = jwt.encode({"alg": "ES256", "kid": "login-1", "typ": "JWT"}, claims, key)
    owner.has |= {"subject": claims["sub"], "issuer": issuer}


def define(owner: Owner) -> None:
    """Give the tenant a schema that extends users, one that nothing uses, and a resource type of its own."""
    has, slug = owner.has, owner.slug
    for name in ("badge", "spare", "device"):
        has[f"{name}_schema"] = f"urn:{slug}:params:scim:{name}"
        attributes = [{"name": "serial", "type": "string", "uniqueness": "server"}]
        owner.make("schemas", {"id": has[f"{name}_schema"], "attributes": attributes})
    has |= {"devices": f"Devices{slug}", "device_type": f"Device{slug}"}
    type_ = {"name": has["device_type"], "endpoint": "/" + has["devices"], "schema": has["device_schema"]}
    owner.make("resource-types", type_)
    has["device"] = owner.push("/" + has["devices"], has["device_schema"], serial=uuid4().hex)


def provision(owner: Owner) -> None:
    has = owner.has
    for name in ("dana", "sam", "kim", "lee"):
        has[f"{name}_name"] = f"{name}@{owner.slug}.example"
        has[f"{name}_external"] = uuid4().hex
        members = {"userName": has[f"{name}_name"], "externalId": has[f"{name}_external"], "password": has["password"]}
        has[name] = owner.push("/Users", USER, **members)
    people = [{"value": has["dana"]}, {"value": has["sam"]}]
    has["group"] = owner.push("/Groups", GROUP, displayName=f"Finance {owner.slug}", members=people)
    for name in ("bot", "idle_bot"):
        has[name] = owner.push("/Agents", AGENT, name=f"{name}-{owner.slug}", owners=[{"value": has["dana"]}])
    owners = [{"value": has["dana"]}]
    has["account"] = owner.push("/ServiceAccounts", SERVICE_ACCOUNT, userName=f"nightly-{owner.slug}", owners=owners)
    has["orphan"] = owner.push("/Agents", AGENT, name=f"orphan-{owner.slug}", owners=[{"value": has["lee"]}])
    has["async_request"] = owner.push_later(f"later@{owner.slug}.example", has["password"])
    owner.administrate(f"/tenants/{owner.slug}/principals/{has['lee']}/suspend", {})
    link = {"connection_id": has["oidc"], "subject": has["subject"]}
    owner.administrate(f"/tenants/{owner.slug}/principals/{has['sam']}/subjects", link)


def register(owner: Owner) -> None:
    has = owner.has
    resource = {"audience": has["audience"], "scopes": ["read", "pay"], "authorization_details_types": ["invoice"]}
    has["resource"] = owner.make("resources", resource)["id"]
    other = {"audience": f"https://ledger.{owner.slug}.example", "scopes": ["read"]}
    has |= {"other_audience": other["audience"], "other_resource": owner.make("resources", other)["id"]}
    pair = {"from": has["audience"], "to": has["other_audience"], "scopes": {"read": ["read"]}}
    has["pair"] = owner.make("resource-pairs", pair)["id"]
    for name, party in (
        ("client", {"principal_id": has["bot"], "scope": "read"}),
        ("idle_client", {"principal_id": has["idle_bot"], "scope": "read"}),
        ("erp_client", {"audience": has["audience"]}),
        ("scim_client", {"connection_id": has["connection"]}),
    ):
        made = owner.make("clients", party)
        has |= {name: made["client_id"], f"{name}_secret": made["client_secret"]}
    keys = [ECKey.generate_key("P-256").as_dict(private=False) | {"kid": f"{n}-{owner.slug}"} for n in ("one", "two")]
    signed = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": keys}}
    has["signing_client"] = owner.make("clients", {"principal_id": has["account"], **signed})["client_id"]
    has["client_kid"] = f"one-{owner.slug}"


def delegate(owner: Owner) -> None:
    has = owner.has
    for name, actor in (("delegation", "bot"), ("idle_delegation", "idle_bot")):
        body = {"actor_id": has[actor], "subject_id": has["sam"], "resource": has["audience"], "scopes": ["read"]}
        has[name] = owner.make("delegations", body | {"max_depth": 3})["id"]


def act(owner: Owner) -> None:
    has = owner.has
    asked = {"grant_type": EXCHANGE, "subject_token": has["id_token"], "subject_token_type": f"{TYPE}id_token"}
    has["task_token"] = owner.token("client", **asked, resource=has["audience"])
    own = {"grant_type": "client_credentials"}
    has["own_token"] = owner.token("client", **own, resource=has["audience"])
    has["agent_token"] = owner.token("client", **own)  # for the issuer alone: it opens tasks
    has["access_token"] = owner.token("scim_client", **own)  # for the SCIM endpoint alone
    has["idle_token"] = owner.token("idle_client", **own)  # for the issuer alone, as an actor token must be


def look_up(owner: Owner) -> None:
    has = owner.has
    has["txn"] = owner.read("/tasks")["items"][0]["txn"]
    has["opened"] = owner.open_task("the work of a day")
    events = owner.read("/events?limit=200")["items"]
    has["event"] = events[len(events) // 2]["id"]
    has["provisioning_event"] = owner.read("/provisioning-events?limit=200")["items"][-1]["jti"]
    has["outbox"] = owner.read("/outbox?state=waiting")["items"][0]["id"]
    has["token_id"] = owner.read(f"/connections/{has['connection']}/tokens")["items"][0]["id"]
    has["kid"] = owner.read("/keys")["items"][0]["kid"]


def next_id(text: str) -> str:
    """Return an id that nothing has, and that sorts right after ``text``."""
    return str(UUID(int=UUID(text).int + 1))


def kill_news(owner_url: str) -> None:
    """Let the workers have given up on everything that they were told."""
    with _connect(owner_url) as connection:
        connection.execute("SET ROLE identity_relay")
        connection.execute("UPDATE outbox SET dead_at = now(), attempts = 12, last_error = 'gave up'")


def rows_of(owner_url: str, slug: str | None = None, *, without: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return a digest of the rows of every table, of one tenant when it is named."""
    tables = sorted(set(metadata.tables) - without)
    digest = "SELECT '{0}', md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {0} t WHERE tenant_id = %(tenant)s"
    statement = " UNION ALL ".join(digest.format(table) for table in tables)
    found = {}
    with _connect(owner_url) as connection:
        connection.execute("SET ROLE identity_app")
        tenants = connection.execute("SELECT slug, tenant_id FROM tenants").fetchall()
        for name, tenant in [("platform", PLATFORM), *tenants]:
            if slug in (None, name):
                connection.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant)])
                rows = connection.execute(statement, {"tenant": tenant}).fetchall()  # type: ignore[arg-type]
                found |= {f"{name}.{table}": row for table, row in rows}
    assert found
    return found


def _connect(owner_url: str) -> psycopg.Connection:
    return psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True)


@dataclass(frozen=True, slots=True)
class Estate:
    """Two tenants in one installation, and the names of things that are in neither."""

    app: Flask
    owner_url: str
    mine: Belongings
    rivals: Belongings
    nowhere: Belongings

    @property
    def http(self) -> FlaskClient:
        return self.app.test_client()
