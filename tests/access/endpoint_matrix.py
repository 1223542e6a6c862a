"""Who may ask what: at least one request for every route and method of the application.

A name in braces stands for one of the tenant's belongings. What is not named here, nobody has thought about, and
``test_every_route_is_classified`` fails: add the request, who may make it, and what it answers when all is right.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from tests.access.owned_objects import (
    ADMIN_TOKEN,
    AGENT,
    ENTERPRISE,
    EXCHANGE,
    GROUP,
    SERVICE_ACCOUNT,
    TYPE,
    USER,
    Belongings,
    basic,
)

NEW = itertools.count()
PLACEHOLDER = re.compile(r"{([a-z_]+)}")


class Who(StrEnum):
    """Whose credential a request needs."""

    ANYBODY = "anybody"
    CONNECTION = "a SCIM connection of the tenant"
    CLIENT = "an OAuth client of the tenant"
    AGENT = "an agent of the tenant, by its own token"
    ADMINISTRATOR = "an administrator"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``status`` is its answer when all is right; ``client`` names the one that it authenticates as."""

    who: Who
    method: str
    path: str
    body: Any = None
    form: dict[str, str] | None = None
    query: str = ""
    status: int = 200
    client: str = "client"

    def __str__(self) -> str:
        what = self.form or {}
        hint = what.get("subject_token_type", what.get("grant_type", "")).rsplit(":", 1)[-1]
        return f"{self.method} {self.path}{self.query and '?' + self.query} {hint}".strip()

    @property
    def names(self) -> list[str]:
        """The belongings that the request names, the tenant apart."""
        found = PLACEHOLDER.findall(f"{self.path} {self.query} {list(_texts(self.body))} {list(_texts(self.form))}")
        return [name for name in dict.fromkeys(found) if name not in ("tenant", "new")]

    @property
    def changes(self) -> bool:
        """True when it writes something when all is right."""
        return self.status < 300 and self.method != "GET" and not self.path.endswith(("/.search", "/introspect"))

    def filled(self, has: Belongings) -> dict[str, Any]:
        """Return the request as Werkzeug's test client takes it; ``{new}`` is another word every time."""
        has = has | {"new": f"new-{next(NEW):06}"}
        asked: dict[str, Any] = {"method": self.method, "path": _fill(self.path, has)}
        if self.query:
            asked["query_string"] = _fill(self.query, has)
        if self.form is not None:
            asked["data"] = _fill(self.form, has)
        elif self.body is not None:
            asked["json"] = _fill(self.body, has)
        return asked

    def credential(self, has: Belongings) -> dict[str, str]:
        """Return the headers that prove who asks."""
        match self.who:
            case Who.ANYBODY:
                return {}
            case Who.CONNECTION:
                return {"Authorization": f"Bearer {has['scim_token']}"}
            case Who.CLIENT:
                return {"Authorization": basic(has[self.client], has[f"{self.client}_secret"])}
            case Who.AGENT:
                return {"Authorization": f"Bearer {has['agent_token']}"}
            case Who.ADMINISTRATOR:
                return {"Authorization": f"Bearer {ADMIN_TOKEN}"}


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for member in value.values():
                yield from _texts(member)
        case list():
            for item in value:
                yield from _texts(item)


def _fill(value: Any, has: Belongings) -> Any:
    match value:
        case str():
            return PLACEHOLDER.sub(lambda found: has[found.group(1)], value)
        case dict():
            return {name: _fill(member, has) for name, member in value.items()}
        case list():
            return [_fill(item, has) for item in value]
    return value


def anybody(path: str, status: int = 200) -> Ask:
    return Ask(Who.ANYBODY, "GET", path, status=status)


def scim(method: str, path: str, body: Any = None, **more: Any) -> Ask:
    return Ask(Who.CONNECTION, method, f"/t/{{tenant}}/scim/v2{path}", body, **more)


def oauth(endpoint: str, client: str = "client", **form: str) -> Ask:
    return Ask(Who.CLIENT, "POST", f"/t/{{tenant}}/oauth/{endpoint}", form=form, client=client)


def task(method: str, path: str = "", body: Any = None, **more: Any) -> Ask:
    return Ask(Who.AGENT, method, f"/t/{{tenant}}/tasks{path}", body, **more)


def admin(method: str, path: str, body: Any = None, **more: Any) -> Ask:
    return Ask(Who.ADMINISTRATOR, method, f"/admin/v1{path}", body, **more)


def of_tenant(method: str, path: str, body: Any = None, **more: Any) -> Ask:
    return admin(method, f"/tenants/{{tenant}}{path}", body, **more)


def bulk(method: str, path: str, data: Any = None) -> dict[str, Any]:
    operation = {"method": method, "path": path, "bulkId": "one"} | ({"data": data} if data else {})
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]}


def patch_op(**operation: Any) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}


PUBLIC = [
    anybody("/"),
    anybody("/livez"),
    anybody("/readyz"),
    anybody("/t/{tenant}/jwks"),
    anybody("/t/{tenant}/.well-known/jwks.json"),
    anybody("/t/{tenant}/.well-known/openid-configuration"),
    anybody("/.well-known/openid-configuration/t/{tenant}"),
    anybody("/.well-known/oauth-authorization-server/t/{tenant}"),
    anybody("/t/{tenant}/.well-known/oauth-authorization-server"),
    anybody("/.well-known/oauth-protected-resource/t/{tenant}/scim/v2"),
    anybody("/admin/v1/openapi.json"),
    anybody("/admin/v1/problems/conflict"),
]
DOCUMENTS = [one for one in PUBLIC if one.path not in ("/livez", "/readyz")]
"""What scripts of other origins may read, too."""

AUTHORIZATION = {"response_type": "code", "client_id": "{client}", "redirect_uri": "https://elsewhere.example/callback"}
AUTHORIZE = [
    Ask(Who.ANYBODY, "GET", "/t/{tenant}/oauth/authorize", query=urlencode(AUTHORIZATION, safe="{}"), status=400),
    Ask(Who.ANYBODY, "POST", "/t/{tenant}/oauth/authorize", form=AUTHORIZATION, status=400),
]

LEAD = {"value": "{dana}"}
NEW_USER = {"schemas": [USER], "userName": "{new}@new.example"}
MANAGED = {"schemas": [USER, ENTERPRISE], "userName": "{new}@new.example", ENTERPRISE: {"manager": LEAD}}
NEW_GROUP = {"schemas": [GROUP], "displayName": "{new}"}
SEARCH = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": 'id eq "{sam}"'}

SCIM = [
    scim("GET", "/ServiceProviderConfig"),
    scim("GET", "/ResourceTypes"),
    scim("GET", "/Schemas"),
    scim("GET", "/ResourceTypes/User"),
    scim("GET", f"/Schemas/{GROUP}"),
    scim("POST", "/Users", NEW_USER, status=201),
    scim("POST", "/Users", MANAGED, status=201),
    scim("GET", "/Users"),
    scim("GET", "/Users", query='filter=userName eq "{sam_name}"'),
    scim("GET", "/Users", query='filter=externalId eq "{sam_external}"'),
    scim("GET", "/Users", query='filter=id eq "{sam}"'),
    scim("GET", "/Users", query='filter=groups.value eq "{group}"'),
    scim("GET", "/Users", query=f'filter={ENTERPRISE}:manager.value eq "{{dana}}"'),
    scim("POST", "/Users/.search", SEARCH),
    scim("POST", "/.search", SEARCH),
    scim("GET", ""),
    scim("POST", "/Bulk", bulk("POST", "/Users", NEW_USER)),
    scim("POST", "/Bulk", bulk("PUT", "/Users/{kim}", NEW_USER)),
    scim("POST", "/Bulk", bulk("DELETE", "/Users/{kim}")),
    scim("POST", "/Bulk", bulk("POST", "/Groups", NEW_GROUP | {"members": [{"value": "{sam}"}]})),
    scim("GET", "/Users/{sam}"),
    scim("PUT", "/Users/{kim}", NEW_USER),
    scim("PATCH", "/Users/{kim}", patch_op(op="replace", path="displayName", value="Kim")),
    scim("PATCH", "/Users/{kim}", patch_op(op="replace", path="active", value=False)),
    scim("DELETE", "/Users/{kim}", status=204),
    scim("POST", "/Groups", NEW_GROUP | {"members": [{"value": "{sam}"}]}, status=201),
    scim("GET", "/Groups", query='filter=members.value eq "{sam}"'),
    scim("GET", "/Groups", query='filter=id eq "{group}"&excludedAttributes=members'),
    scim("GET", "/Groups/{group}"),
    scim("PUT", "/Groups/{group}", NEW_GROUP | {"members": [{"value": "{kim}"}]}),
    scim("PATCH", "/Groups/{group}", patch_op(op="add", path="members", value=[{"value": "{kim}"}]), status=204),
    scim("PATCH", "/Groups/{group}", patch_op(op="remove", path='members[value eq "{sam}"]'), status=204),
    scim("PATCH", "/Groups/{group}", patch_op(op="remove", path="members", value=[{"value": "{sam}"}]), status=204),
    scim("DELETE", "/Groups/{group}", status=204),
    scim("POST", "/Agents", {"schemas": [AGENT], "name": "{new}", "owners": [LEAD]}, status=201),
    scim("GET", "/Agents", query='filter=owners.value eq "{dana}"'),
    scim("GET", "/Agents/{bot}"),
    scim("PUT", "/Agents/{bot}", {"schemas": [AGENT], "name": "{new}", "owners": [LEAD]}),
    scim("PATCH", "/Agents/{bot}", patch_op(op="replace", path="owners", value=[{"value": "{sam}"}])),
    scim("DELETE", "/Agents/{bot}", status=204),
    scim("POST", "/ServiceAccounts", {"schemas": [SERVICE_ACCOUNT], "userName": "{new}", "owners": [LEAD]}, status=201),
    scim("GET", "/ServiceAccounts/{account}"),
    scim("DELETE", "/ServiceAccounts/{account}", status=204),
    scim("GET", "/ResourceTypes/{device_type}"),
    scim("GET", "/Schemas/{device_schema}"),
    scim("GET", "/{devices}"),
    scim("GET", "/{devices}/{device}"),
    scim("POST", "/{devices}", {"schemas": ["{device_schema}"], "serial": "{new}"}, status=201),
    scim("PUT", "/{devices}/{device}", {"schemas": ["{device_schema}"], "serial": "{new}"}),
    scim("PATCH", "/{devices}/{device}", patch_op(op="replace", path="serial", value="{new}")),
    scim("DELETE", "/{devices}/{device}", status=204),
    scim("POST", "/Bulk", bulk("DELETE", "/{devices}/{device}")),
    scim("POST", "/Groups", NEW_GROUP | {"members": [{"value": "{device}"}]}, status=201),
    scim("GET", "/AsyncRequests/{async_request}", status=202),  # no worker runs here
    # What is refused to everybody is refused behind the same door.
    *(scim(method, "/AsyncRequests/x", status=405) for method in ("POST", "PUT", "PATCH", "DELETE")),
    *(scim(method, "/Me", status=501) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    scim("POST", "/Users/{sam}", NEW_USER, status=405),
    *(scim(method, "/Users", status=405) for method in ("PUT", "PATCH", "DELETE")),
    *(scim(method, path, status=405)
      for path in ("/ServiceProviderConfig", "/Schemas", "/Schemas/x", "/ResourceTypes", "/ResourceTypes/x")
      for method in ("POST", "PUT", "PATCH", "DELETE")),
    *(scim(method, "", status=405) for method in ("POST", "PUT", "PATCH", "DELETE")),
    *(scim(method, path, status=404)
      for path in ("/Nothing", "/Nothing/at", "/Nothing/at/all", "/users", "/Users/.search/all")
      for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
]  # fmt: skip

TRADE = {"grant_type": EXCHANGE, "resource": "{audience}"}
ID_TOKEN = {"subject_token": "{id_token}", "subject_token_type": f"{TYPE}id_token"}
TASK_TOKEN = {"subject_token": "{task_token}", "subject_token_type": f"{TYPE}access_token"}
ACTOR_TOKEN = {"actor_token": "{idle_token}", "actor_token_type": f"{TYPE}access_token"}

OAUTH = [
    oauth("token", grant_type="client_credentials", resource="{audience}"),
    oauth("token", "scim_client", grant_type="client_credentials"),
    oauth("token", **TRADE, **ID_TOKEN),
    oauth("token", "idle_client", **TRADE, **TASK_TOKEN),
    oauth("token", "idle_client", **TRADE, **TASK_TOKEN, **ACTOR_TOKEN),
    oauth("introspect", "erp_client", token="{task_token}"),
    oauth("introspect", token="{own_token}"),
    oauth("revoke", token="{task_token}"),
    oauth("revoke", "idle_client", token="{idle_token}"),
]

NEW_TASK = {"purpose": "{new}", "authority": [{"resource": "{audience}", "scopes": ["read"]}]}

TASKS = [
    task("POST", body=NEW_TASK, status=201),
    task("POST", body=NEW_TASK | ID_TOKEN, status=201),
    task("POST", body={"purpose": "{new}"} | ID_TOKEN, status=201),
    task("GET"),
    task("GET", "/{txn}"),
    task("GET", "/{opened}"),
    task("POST", "/{txn}/complete"),
    task("POST", "/{opened}/cancel"),
    task("POST", "/{txn}/cancel", ID_TOKEN),
]

DELEGATION = {"actor_id": "{bot}", "subject_id": "{sam}", "resource": "{audience}", "scopes": ["read"]}
GROUP_DELEGATION = {"actor_id": "{bot}", "subject_group_id": "{group}", "resource": "{audience}", "scopes": ["read"]}
OIDC = {
    "kind": "oidc", "name": "another", "issuer": "https://other.example", "jwks_uri": "https://other.example/keys",
    "audiences": ["portal"], "provisioned_by": "{connection}",
}  # fmt: skip
PUBLIC_KEY = {
    "kty": "EC", "crv": "P-256", "kid": "three", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}  # fmt: skip
NEW_RESOURCE = {"audience": "https://new.example", "principal_id": "{account}", "scopes": ["read"]}
NEW_PAIR = {"from": "{other_audience}", "to": "{audience}", "scopes": {"read": ["read", "pay"]}}
NEW_PAIR_BY_IDS = {"from": "{other_resource}", "to": "{resource}", "scopes": {"read": ["read"]}}
NEW_SCHEMA = {"id": "urn:example:params:scim:{new}", "attributes": [{"name": "colour", "type": "string"}]}
NEW_TYPE = {"name": "Site", "endpoint": "/Sites", "schema": "{spare_schema}"}

ADMIN = [
    admin("GET", "/tenants"),
    admin("POST", "/tenants", {"slug": "third", "display_name": "Third"}, status=201),
    *(admin(method, path, status=404)
      for path in ("/", "/nothing") for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")),
    of_tenant("GET", ""),
    of_tenant("PATCH", "", {"max_task_s": 600}),
    of_tenant("GET", "/connections"),
    of_tenant("GET", "/connections", query="name=okta"),
    of_tenant("POST", "/connections", {"kind": "scim", "name": "okta", "dialect": "okta"}, status=201),
    of_tenant("POST", "/connections", OIDC, status=201),
    of_tenant("GET", "/connections/{connection}"),
    of_tenant("PATCH", "/connections/{connection}", {"name": "renamed"}),
    of_tenant("DELETE", "/connections/{connection}", status=204),
    of_tenant("GET", "/connections/{connection}/tokens"),
    of_tenant("GET", "/connections/{connection}/requests"),
    of_tenant("GET", "/connections/{connection}/requests", query="principal={sam}"),
    of_tenant("POST", "/connections/{connection}/tokens", {"overlap_s": 0}, status=201),
    of_tenant("GET", "/schemas"),
    of_tenant("POST", "/schemas", NEW_SCHEMA, status=201),
    of_tenant("GET", "/schemas/{badge_schema}"),
    of_tenant("GET", "/schemas/{badge_schema}/versions"),
    of_tenant("PATCH", "/schemas/{badge_schema}", {"description": "{new}"}),
    of_tenant("DELETE", "/schemas/{spare_schema}", status=204),
    of_tenant("GET", "/resource-types"),
    of_tenant("POST", "/resource-types", NEW_TYPE, status=201),
    of_tenant("GET", "/resource-types/{device_type}"),
    of_tenant("PATCH", "/resource-types/User", {"schemaExtensions": [{"schema": "{badge_schema}"}]}),
    of_tenant("PATCH", "/resource-types/{device_type}", {"description": "{new}"}),
    of_tenant("DELETE", "/resource-types/{device_type}", status=409),
    of_tenant("GET", "/clients"),
    of_tenant("GET", "/clients", query="principal={bot}"),
    of_tenant("POST", "/clients", {"principal_id": "{bot}", "scope": "read"}, status=201),
    of_tenant("POST", "/clients", {"audience": "{audience}"}, status=201),
    of_tenant("POST", "/clients", {"connection_id": "{connection}"}, status=201),
    of_tenant("GET", "/clients/{client}"),
    of_tenant("DELETE", "/clients/{client}", status=204),
    of_tenant("POST", "/clients/{client}/secret", status=201),
    of_tenant("POST", "/clients/{signing_client}/keys", {"jwk": PUBLIC_KEY}, status=201),
    of_tenant("DELETE", "/clients/{signing_client}/keys/{client_kid}", status=204),
    of_tenant("GET", "/resources"),
    of_tenant("POST", "/resources", NEW_RESOURCE, status=201),
    of_tenant("GET", "/resources/{resource}"),
    of_tenant("GET", "/resources", query="audience={audience}"),
    of_tenant("PATCH", "/resources/{resource}", {"principal_id": "{account}"}),
    of_tenant("DELETE", "/resources/{resource}", status=204),
    of_tenant("GET", "/resource-pairs"),
    of_tenant("POST", "/resource-pairs", NEW_PAIR, status=201),
    of_tenant("POST", "/resource-pairs", NEW_PAIR_BY_IDS, status=201),
    of_tenant("GET", "/resource-pairs/{pair}"),
    of_tenant("PATCH", "/resource-pairs/{pair}", {"scopes": {"pay": ["read"]}}),
    of_tenant("DELETE", "/resource-pairs/{pair}", status=204),
    of_tenant("GET", "/principals"),
    of_tenant("GET", "/principals", query="name={sam_name}"),
    of_tenant("GET", "/principals/{sam}"),
    of_tenant("POST", "/principals/{sam}/suspend", {"reason": "test", "credentials": "keep"}),
    of_tenant("POST", "/principals/{lee}/reactivate", {"reason": "test"}),
    of_tenant("POST", "/principals/{bot}/deprovision", {"reason": "test"}),
    of_tenant("GET", "/principals", query="is_protected=true"),
    of_tenant("GET", "/principals", query="state=active"),
    of_tenant("GET", "/principals", query="ids={sam},{bot}"),
    of_tenant("POST", "/principals/{sam}/protect", {"reason": "test"}),
    of_tenant("POST", "/principals/{sam}/unprotect", {"reason": "test"}),
    of_tenant("GET", "/principals/{sam}/subjects"),
    of_tenant("POST", "/principals/{kim}/subjects", {"connection_id": "{oidc}", "subject": "kim"}, status=201),
    of_tenant("DELETE", "/principals/{sam}/subjects", query="connection_id={oidc}&subject={subject}", status=204),
    of_tenant("GET", "/delegations"),
    of_tenant("GET", "/delegations", query="actor={bot}"),
    of_tenant("GET", "/delegations", query="subject={sam}"),
    of_tenant("GET", "/delegations", query="active=true"),
    of_tenant("POST", "/delegations", DELEGATION, status=201),
    of_tenant("POST", "/delegations", GROUP_DELEGATION, status=201),
    of_tenant("GET", "/delegations/{delegation}"),
    of_tenant("PATCH", "/delegations/{delegation}", {"max_depth": 1}),
    of_tenant("DELETE", "/delegations/{delegation}", status=204),
    of_tenant("GET", "/tasks"),
    of_tenant("GET", "/tasks", query="principal={sam}"),
    of_tenant("GET", "/tasks/{txn}"),
    of_tenant("GET", "/tasks/{opened}"),
    of_tenant("GET", "/tasks/{txn}/tree"),
    of_tenant("POST", "/tasks/{txn}/cancel", {"reason": "test"}),
    of_tenant("GET", "/events"),
    of_tenant("GET", "/events", query="after={event}&type=token.issued"),
    of_tenant("GET", "/events", query="txn={txn}"),
    of_tenant("GET", "/events", query="order=desc&since=2026-01-01T00:00:00Z"),
    of_tenant("GET", "/events", query="principal={sam}"),
    of_tenant("GET", "/provisioning-events"),
    of_tenant("GET", "/provisioning-events", query="after={provisioning_event}"),
    of_tenant("GET", "/cutoffs"),
    of_tenant("GET", "/keys"),
    of_tenant("POST", "/keys/rotate"),
    of_tenant("GET", "/outbox"),
    of_tenant("POST", "/outbox/{outbox}/replay"),
    of_tenant("POST", "/outbox/{outbox}/discard"),
]  # fmt: skip

ASKS = [*PUBLIC, *AUTHORIZE, *SCIM, *OAUTH, *TASKS, *ADMIN]
GUARDED = [ask for ask in ASKS if ask.who is not Who.ANYBODY]
NAMING = [ask for ask in GUARDED if ask.names]
