"""The tenant `acme` that a first start makes and leaves alive: two people in a group, two agents with OAuth clients, a
resource server that is an agent too and may go on to a second one, delegations, and trust in the development issuer.

Every step looks for what it makes, so a start that was interrupted is completed by the next. Ids and secrets are kept
after each step; a secret whose answer was lost is replaced. Once the tenant is whole, it is its users' alone.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from dev.demo.api import Api, expect
from dev.demo.bodies import CORE, agent_body, delegation_limits, oidc_connection, user_body
from dev.installation import BrokenFolderError
from dev.issuer import DevelopmentIssuer
from identity.model.connection import DEVELOPMENT_ISSUER
from server.private_files import replace_private

SLUG = "acme"
FILE = "example_tenant.json"
RESOURCE = "https://erp.example"
SCOPES = ("invoices.read", "invoices.pay")
DETAILS_TYPE = "task_resource_access"  # what the example service knows, and restricts its scopes by
NEXT_RESOURCE = "https://ledger.example"
NEXT_SCOPES = ("entries.read",)
SERVICE_AGENT = "erp-bot"
"""The agent that runs the first resource server, and goes on to the next as such."""

SECOND_SERVICE = "ledger"
"""Under this name its client is kept; a tenant that an earlier version has made has none."""

AUDIENCE = "acme-portal"
PEOPLE = (("dana", "Dana", "Reyes", "Finance Manager"), ("sam", "Sam", "Okafor", "Clerk"))
AGENTS = {"invoice-bot": 2, "ocr-bot": 1}
"""Each agent, and how long a chain of actors may be in which it acts."""

TIMEOUT_S = 10.0
PAGE = 200


class TenantTakenError(Exception):
    """A tenant `acme` is there that no `identity dev` of this folder has made."""


@dataclass(slots=True)
class ExampleTenant:
    """The ids and secrets of the tenant by name; a client has its id and its secret."""

    is_whole: bool = False
    ids: dict[str, str] = field(default_factory=dict)
    scim_token: str = ""
    clients: dict[str, tuple[str, str]] = field(default_factory=dict)

    def keep(self, folder: Path) -> None:
        """Write it down."""
        replace_private(folder / FILE, json.dumps(asdict(self), indent=2))


def read_example(folder: Path) -> ExampleTenant | None:
    """Return what is kept of the tenant; None where it was never begun. Raises ``BrokenFolderError``."""
    file = folder / FILE
    if not file.exists():
        return None
    try:
        kept = ExampleTenant(**json.loads(file.read_text()))
        kept.clients = {name: (client_id, secret) for name, (client_id, secret) in kept.clients.items()}
    except (ValueError, TypeError, AttributeError):
        raise BrokenFolderError(file) from None
    return kept


def make_example(folder: Path, base_url: str, admin_token: str, issuer: DevelopmentIssuer) -> ExampleTenant:
    """Return the tenant; parts that an earlier start has not made are made.

    Raises ``TenantTakenError``, ``BrokenFolderError``, ``StepError`` when a step is not answered as it should be, and
    ``httpx2.RequestError``.
    """
    with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as http:
        admin = Api(http, f"{base_url}/admin/v1/tenants", admin_token)
        found = _begun(folder, admin)
        if not found.is_whole:
            _Making(folder, http, admin, issuer, found).all()
    return found


def sam_state(base_url: str, admin_token: str, example: ExampleTenant) -> str:
    """Return Sam's state. Raises ``StepError``, ``httpx2.RequestError``."""
    with httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as http:
        admin = Api(http, f"{base_url}/admin/v1/tenants/{SLUG}", admin_token)
        answer = admin.call("GET", f"/principals/{example.ids['sam']}")
    return "deleted" if answer.status == 404 else str(expect(answer, 200, "look at Sam")["state"])


def _begun(folder: Path, admin: Api) -> ExampleTenant:
    """Return what is kept of the tenant, or nothing yet where the database has none. Raises ``TenantTakenError``."""
    kept, answer = read_example(folder), admin.call("GET", f"/{SLUG}")
    if answer.status == 404:
        begun = ExampleTenant()
        begun.keep(folder)  # before the tenant is there: from now on it is ours
        return begun
    tenant_id = expect(answer, 200, "look for the tenant")["id"]
    if kept is None or kept.ids.get("tenant", tenant_id) != tenant_id:
        raise TenantTakenError(SLUG)
    return kept


@dataclass(frozen=True, slots=True)
class _Making:
    """The steps. Each returns at once where its part is there."""

    folder: Path
    http: httpx2.Client
    admin: Api
    issuer: DevelopmentIssuer
    made: ExampleTenant

    def all(self) -> None:
        self._tenant()
        scim = self._scim_connection()
        for person in PEOPLE:
            self._person(scim, *person)
        self._group(scim)
        for agent in (*AGENTS, SERVICE_AGENT):
            self._agent(scim, agent)
        self._oidc_connection()
        self._first_service()
        self._next_service()
        for agent, depth in AGENTS.items():
            self._client(agent, {"principal_id": self.made.ids[agent], "scope": SCOPES[0]})
            self._delegation(agent, RESOURCE, SCOPES[0], depth)
        self.made.is_whole = True
        self.made.keep(self.folder)

    def _tenant(self) -> None:
        if "tenant" in self.made.ids:
            return
        answer = self.admin.call("POST", "", {"slug": SLUG, "display_name": "Acme Corporation"})
        if answer.status == 409:  # made by a start that was interrupted
            self._keep("tenant", expect(self.admin.call("GET", f"/{SLUG}"), 200, "look for the tenant")["id"])
        else:
            self._keep("tenant", expect(answer, 201, "create the tenant")["id"])

    def _scim_connection(self) -> Api:
        name = "identity-provider"
        found = self._find("/connections", lambda one: one["name"] == name and one["ended_at"] is None)
        if found is None:
            found = self._post("/connections", {"kind": "scim", "name": name})
            self.made.scim_token = found["token"]
        elif not self.made.scim_token:
            self.made.scim_token = self._post(f"/connections/{found['id']}/tokens", {"overlap_s": 0})["token"]
        self._keep(name, found["id"])
        return Api(self.http, found["scim_base_url"], self.made.scim_token)

    def _person(self, scim: Api, name: str, given: str, family: str, title: str) -> None:
        user_name = f"{name}@{SLUG}.example"
        body = user_body(user_name, f"{SLUG}-{name}", given, family, title)
        self._provision(scim, "/Users", f'userName eq "{user_name}"', body, name)

    def _group(self, scim: Api) -> None:
        members = [{"value": self.made.ids[name]} for name, *_ in PEOPLE]
        body = {"schemas": [f"{CORE}:Group"], "externalId": f"{SLUG}-finance", "displayName": "Finance"}
        self._provision(scim, "/Groups", 'displayName eq "Finance"', body | {"members": members}, "finance")

    def _agent(self, scim: Api, name: str) -> None:
        body = agent_body(name, f"{SLUG}-{name}", self.made.ids["dana"])
        self._provision(scim, "/Agents", f'agentUserName eq "{name}"', body, name)

    def _provision(self, scim: Api, path: str, filter_: str, body: Mapping[str, Any], name: str) -> None:
        found = expect(scim.call("GET", path, filter=filter_), 200, f"look for {name}")["Resources"]
        resource = found[0] if found else expect(scim.call("POST", path, body), 201, f"provision {name}")
        self._keep(name, resource["id"])

    def _oidc_connection(self) -> None:
        if self._find("/connections", lambda one: one["issuer"] == DEVELOPMENT_ISSUER and one["ended_at"] is None):
            return
        source = self.made.ids["identity-provider"]
        body = oidc_connection("development-sign-in", DEVELOPMENT_ISSUER, AUDIENCE, source)
        self._post("/connections", body | {"jwks": self.issuer.jwks})

    def _first_service(self) -> None:
        """Make the service that is an agent too, with one client for both."""
        run_by = {"principal_id": self.made.ids[SERVICE_AGENT]}
        types = [{"type": DETAILS_TYPE, "scopes": list(SCOPES)}]
        found = self._resource(RESOURCE, {"scopes": list(SCOPES), "authorization_details_types": types} | run_by)
        if found["principal_id"] is None:  # an earlier version made it, and perhaps a client that only introspects
            self.made.clients.pop("erp", None)
            self.made.keep(self.folder)
            expect(self.admin.call("PATCH", f"/{SLUG}/resources/{found['id']}", run_by), 200, f"change {RESOURCE}")
        self._client("erp", {"audience": RESOURCE, "scope": NEXT_SCOPES[0]} | run_by)

    def _next_service(self) -> None:
        self._resource(NEXT_RESOURCE, {"scopes": list(NEXT_SCOPES)})
        self._client(SECOND_SERVICE, {"audience": NEXT_RESOURCE})
        self._delegation(SERVICE_AGENT, NEXT_RESOURCE, NEXT_SCOPES[0], 1)
        ends = {"from": RESOURCE, "to": NEXT_RESOURCE}
        if self._find("/resource-pairs", lambda one: ends.items() <= one.items()) is None:
            self._post("/resource-pairs", ends | {"scopes": {SCOPES[0]: list(NEXT_SCOPES)}})

    def _resource(self, audience: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        found = self._find("/resources", lambda one: one["audience"] == audience)
        made: Mapping[str, Any] = found or self._post("/resources", {"audience": audience, **body})
        return made

    def _client(self, name: str, body: Mapping[str, str]) -> None:
        if name in self.made.clients:
            return
        wanted = {"client_name": name, "principal_id": body.get("principal_id"), "revoked_at": None}
        found = self._find("/clients", lambda one: wanted.items() <= one.items())
        if found is None:
            made = self._post("/clients", {"client_name": name, **body})
        else:  # its secret was lost with the answer
            made = self._post(f"/clients/{found['client_id']}/secret", {})
        self.made.clients[name] = (made["client_id"], made["client_secret"])
        self.made.keep(self.folder)

    def _delegation(self, agent: str, audience: str, scope: str, depth: int) -> None:
        parties = {"actor_id": self.made.ids[agent], "subject_group_id": self.made.ids["finance"]}
        if self._find("/delegations", lambda one: parties.items() <= one.items() and one["ended_at"] is None):
            return
        self._post("/delegations", parties | delegation_limits(audience, scope, depth))

    def _find(self, path: str, is_it: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any] | None:
        """Return the one of the first page: more were not made here before the tenant was whole."""
        listed = expect(self.admin.call("GET", f"/{SLUG}{path}", limit=str(PAGE)), 200, f"list {path}")
        return next((one for one in listed["items"] if is_it(one)), None)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return expect(self.admin.call("POST", f"/{SLUG}{path}", body), 201, f"create in {path}")

    def _keep(self, name: str, id_: str) -> None:
        self.made.ids[name] = id_
        self.made.keep(self.folder)
