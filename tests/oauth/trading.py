"""Services that are agents too: resource servers of a tenant, each with one client that trades what it receives."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from tests.fixtures import ADMIN_TOKEN, TYPE, Agent, Tenant, access_token, employ
from tests.oauth.books import administer

ORDERS, LEDGER, VAULT = "https://orders.example", "https://ledger.example", "https://vault.example"
LIMIT = {"type": "order", "actions": ["read", "pay"], "constraints": {"max_amount": 500}}
ENTRY = LIMIT | {"type": "entry"}
TYPES: dict[str, list[Any]] = {
    ORDERS: [{"type": "order", "scopes": ["pay"]}, "note"],
    LEDGER: [{"type": "entry", "scopes": ["write"]}, "memo"],
    VAULT: [{"type": "record", "scopes": ["store"]}],
}
SCOPES = {ORDERS: ["read", "pay"], LEDGER: ["look", "write", "close"], VAULT: ["find", "store"]}


@dataclass(frozen=True, slots=True)
class Service:
    """A resource server, its id, and its one client; ``client.id`` is the agent that runs it."""

    audience: str
    id: str
    client: Agent


def serve(tenant: Tenant, audience: str) -> Service:
    """Register a resource server that an agent of its own runs."""
    name = audience.removeprefix("https://").removesuffix(".example")
    with tenant.tx() as tx:
        bot = employ(tx, f"{name}-bot", tenant.seeded.dana)
    body = {"audience": audience, "principal_id": str(bot.id), "scopes": SCOPES[audience],
            "authorization_details_types": TYPES[audience]}  # fmt: skip
    made = administer(tenant, "/resources", body)
    client = administer(tenant, "/clients", {"principal_id": str(bot.id), "audience": audience})
    return Service(audience, made["id"], Agent(client["client_id"], None, client["client_secret"], bot.id))


def permit(tenant: Tenant, actor: UUID, audience: str, **more: Any) -> dict[str, Any]:
    """Let an agent act for the members of Finance at a resource server, with all its scopes unless told otherwise."""
    body = {"actor_id": str(actor), "subject_group_id": str(tenant.seeded.finance), "resource": audience,
            "scopes": SCOPES.get(audience, []), "max_depth": 4}  # fmt: skip
    made: dict[str, Any] = administer(tenant, "/delegations", body | more)
    return made


PAIR = {"from": ORDERS, "to": LEDGER, "scopes": {"read": ["look"], "pay": ["look", "write"]},
        "authorization_details_types": {"order": "entry", "note": "memo"}}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trade:
    """Two services in a tenant, each run by an agent, and a pair from the first to the second."""

    tenant: Tenant
    orders: Service
    ledger: Service
    pair: dict[str, Any]
    delegation: dict[str, Any]

    def first(self, **form: Any) -> str:
        """A token for the first service: invoice-bot acts for Sam there."""
        return self.tenant.task_token("invoice-bot", resource=ORDERS, **form)

    def cross(self, token: str, client: Agent | None = None, **form: Any) -> httpx2.Response:
        """Ask to trade a token for the first service for one for the second, as the first service."""
        asked = {"resource": LEDGER} | form
        return self.tenant.exchange(client or self.orders.client, token, **asked)

    def crossed(self, token: str, **form: Any) -> str:
        return access_token(self.cross(token, **form))

    def administer(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Ask the admin API of the tenant."""
        url = f"/admin/v1/tenants/{self.tenant.slug}{path}"
        return self.tenant.http.request(method, url, json=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})


def trade_in(tenant: Tenant) -> Trade:
    """Let a tenant have two services, a pair of them, and all that a token for the second needs."""
    orders, ledger = serve(tenant, ORDERS), serve(tenant, LEDGER)
    permit(tenant, tenant.agent().id, ORDERS)
    delegation = permit(tenant, orders.client.id, LEDGER)
    return Trade(tenant, orders, ledger, administer(tenant, "/resource-pairs", PAIR), delegation)


ACCESS_TOKEN = f"{TYPE}access_token"
