"""What an installation does in a day, over HTTP alone: of any version, over any layout of the tables."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
from joserfc.jwk import ECKey

from tests.fixtures import ADMIN_TOKEN, ERP, EXCHANGE, TYPE
from tests.upstream_issuer import PORTAL, Upstream

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
READ = "invoices.read"
TRIES_MAX = 5


@dataclass(slots=True)
class Day:
    """One tenant and what it has. ``https`` are the processes that serve it: each call may go to another."""

    https: list[httpx2.Client]
    slug: str = field(default_factory=lambda: f"tenant-{uuid4().hex[:12]}")
    upstream: Upstream = field(default_factory=lambda: Upstream("https://login.example", ECKey.generate_key("P-256")))
    scim_token: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    clients: dict[str, tuple[str, str]] = field(default_factory=dict)
    calls: int = 0
    put_off: int = 0
    slowest_s: float = 0.0

    def ask(self, method: str, path: str, *, status: int, **more: Any) -> Any:
        """Send one request, to the next process, and again where it is put off; hold the answer to its status."""
        for _ in range(TRIES_MAX):
            self.calls += 1
            begun = time.monotonic()
            answer = self.https[self.calls % len(self.https)].request(method, path, **more)
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            if answer.status_code != 503:
                break
            assert "Retry-After" in answer.headers
            self.put_off += 1
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else {}

    def admin(self, method: str, path: str, body: Any = None, *, status: int = 201) -> Any:
        """Ask as the administrator, below the tenant's own path."""
        bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        path = f"/admin/v1/tenants/{self.slug}{path}"
        return self.ask(method, path, status=status, headers=bearer, json=body)

    def scim(self, method: str, path: str, body: Any = None, *, status: int = 200, **params: str) -> Any:
        """Ask as the directory's source."""
        headers = {"Authorization": f"Bearer {self.scim_token}", "Content-Type": "application/scim+json"}
        path = f"/t/{self.slug}/scim/v2{path}"
        return self.ask(method, path, status=status, headers=headers, json=body, params=params or None)

    def begin(self) -> None:
        """Make the tenant, its source, its sign-in and a resource server."""
        bearer = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        tenant = {"slug": self.slug, "display_name": self.slug}
        self.ask("POST", "/admin/v1/tenants", status=201, headers=bearer, json=tenant)
        source = self.admin("POST", "/connections", {"kind": "scim", "name": "directory", "dialect": "rfc"})
        self.scim_token = source["token"]
        sign_in = {"kind": "oidc", "name": "sign-in", "issuer": self.upstream.issuer, "jwks": self.upstream.jwks,
                   "audiences": [PORTAL], "subject_claim": "sub", "match": "externalId",
                   "provisioned_by": source["id"]}  # fmt: skip
        self.admin("POST", "/connections", sign_in)
        self.admin("POST", "/resources", {"audience": ERP, "scopes": [READ]})
        self.register("erp", {"audience": ERP})

    def register(self, name: str, of: dict[str, Any]) -> None:
        """Register a client with a secret."""
        made = self.admin("POST", "/clients", {"client_name": name, **of})
        self.clients[name] = made["client_id"], made["client_secret"]

    def hire(self, name: str) -> None:
        """Push a person, an agent of that person's, and the permission to act for the person."""
        user = {"schemas": [f"{SCHEMA}:User"], "userName": name, "externalId": f"ext-{name}", "active": True}
        self.ids[name] = self.scim("POST", "/Users", user, status=201)["id"]
        agent = {"schemas": [f"{SCHEMA}:Agent"], "agentUserName": f"{name}-bot", "displayName": f"{name}-bot",
                 "externalId": f"ext-{name}-bot", "active": True, "owners": [{"value": self.ids[name]}]}  # fmt: skip
        self.ids[f"{name}-bot"] = self.scim("POST", "/Agents", agent, status=201)["id"]
        self.register(f"{name}-bot", {"principal_id": self.ids[f"{name}-bot"]})

    def group(self, name: str, *members: str) -> None:
        """Push a group with members."""
        values = [{"value": self.ids[member]} for member in members]
        group = {"schemas": [f"{SCHEMA}:Group"], "displayName": name, "members": values}
        self.ids[name] = self.scim("POST", "/Groups", group, status=201)["id"]

    def delegate(self, agent: str, subject: dict[str, str]) -> None:
        """Let an agent act for a person, or for the members of a group."""
        permission = {"actor_id": self.ids[agent], "resource": ERP, "scopes": [READ], "max_lifetime_s": 120,
                      "max_depth": 2, **subject}  # fmt: skip
        self.admin("POST", "/delegations", permission)

    def exchange(self, agent: str, person: str, *, status: int = 200) -> str:
        """Trade a person's ID token for a task token; return it."""
        id_token = self.upstream.sign(datetime.now(UTC), sub=f"ext-{person}")
        form = {"grant_type": EXCHANGE, "subject_token": id_token, "subject_token_type": f"{TYPE}id_token",
                "resource": ERP}  # fmt: skip
        answer = self.ask("POST", f"/t/{self.slug}/oauth/token", status=status, data=form, auth=self.clients[agent])
        return str(answer.get("access_token"))

    def is_live(self, token: str) -> bool:
        """Ask the issuer about a token, as the resource server."""
        path = f"/t/{self.slug}/oauth/introspect"
        found = self.ask("POST", path, status=200, data={"token": token}, auth=self.clients["erp"])
        return bool(found["active"])

    def leave(self, name: str) -> None:
        """Deactivate a person."""
        operation = {"op": "replace", "path": "active", "value": False}
        self.scim("PATCH", f"/Users/{self.ids[name]}", {"schemas": [PATCH], "Operations": [operation]})

    def state(self, name: str) -> str:
        """Return a principal's state, as an administrator reads it."""
        return str(self.admin("GET", f"/principals/{self.ids[name]}", status=200)["state"])


def live_through(day: Day) -> None:
    """Do each of the things once, and hold what they end to have ended."""
    day.begin()
    for name in ("sam", "dana"):
        day.hire(name)
    day.group("Inner", "sam")
    day.group("Finance", "Inner", "dana")
    day.delegate("sam-bot", {"subject_group_id": day.ids["Finance"]})
    day.delegate("dana-bot", {"subject_id": day.ids["dana"]})
    assert day.scim("GET", "/Users")["totalResults"] == 2
    assert day.scim("GET", "/Users", filter='userName eq "SAM"')["totalResults"] == 1
    assert len(day.scim("GET", f"/Groups/{day.ids['Finance']}")["members"]) == 2
    assert {each["id"] for each in day.admin("GET", "/principals?kind=agent", status=200)["items"]} == {
        day.ids["sam-bot"], day.ids["dana-bot"],
    }  # fmt: skip
    sams, danas = day.exchange("sam-bot", "sam"), day.exchange("dana-bot", "dana")
    assert day.is_live(sams)
    assert day.is_live(danas)
    day.leave("sam")
    assert not day.is_live(sams)
    assert day.is_live(danas)
    day.exchange("sam-bot", "sam", status=400)
    day.scim("DELETE", f"/Users/{day.ids['sam']}", status=204)
    assert day.scim("GET", "/Users")["totalResults"] == 1
    assert [each["type"] for each in day.admin("GET", "/events?limit=200", status=200)["items"]].count(
        "token.issued"
    ) == 2
