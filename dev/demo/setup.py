"""The set-up of the demo: a tenant, people and agents, resource servers, clients and delegations."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joserfc.jwk import ECKey

from dev.demo.api import AgentClient, Api, ServiceClient, StepError, expect
from dev.demo.bodies import agent_body, delegation_limits, entra_group, entra_patch, entra_user, oidc_connection
from dev.demo.resource_servers import ERP, LEDGER, PAY_INVOICES, READ_ENTRIES, READ_INVOICES, LedgerOfErp, erp, ledger
from dev.demo.scenario import Scenario
from dev.demo.upstream import serving

TENANT = "story"
TENANTS_MAX = 100
PORTAL = "acme-portal"
DANA, SAM = "5b7c1f0a-2f7b-4d57-9d0e-0c6f6a1f2d11", "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"
AGENTS = ("invoice-bot", "ocr-bot", "erp-bot")


def set_up(demo: Scenario) -> None:
    """Create everything that the later steps need."""
    for step in (create_tenant, push_people, push_agents, register, delegate):
        step(demo)


def create_tenant(demo: Scenario) -> None:
    """Create a tenant, and the SCIM connection of its identity provider."""
    with demo.step("An administrator creates a tenant, and a SCIM connection for Entra") as notes:
        demo.tenant = _new_tenant(demo)
        connection = {"kind": "scim", "name": "entra", "dialect": "entra"}
        made = expect(demo.admin.call("POST", f"/tenants/{demo.tenant}/connections", connection), 201, "connect")
        demo.scim = Api(demo.http, made["scim_base_url"], made["token"])
        demo.ids["entra"] = made["id"]
        notes.append(f"{made['scim_base_url']}; its token is shown once and stored as a hash")


def _new_tenant(demo: Scenario) -> str:
    """Create a tenant under the first free slug and return it; a run that was interrupted has taken one."""
    for slug in (TENANT, *(f"{TENANT}-{number}" for number in range(2, TENANTS_MAX))):
        answer = demo.admin.call("POST", "/tenants", {"slug": slug, "display_name": "Acme Corporation (story)"})
        if answer.status != 409:
            expect(answer, 201, "create the tenant")
            return slug
    raise StepError(f"{TENANTS_MAX - 1} tenants hold stories that were interrupted")


def push(demo: Scenario, path: str, body: dict[str, Any], name: str) -> str:
    """POST one resource as the identity provider; remember its id by name."""
    demo.ids[name] = expect(scim_of(demo).call("POST", path, body), 201, f"push {name}")["id"]
    return demo.ids[name]


def scim_of(demo: Scenario) -> Api:
    """Return the identity provider's side of the connection."""
    if demo.scim is None:
        raise AssertionError("the connection is made first")
    return demo.scim


def push_people(demo: Scenario) -> None:
    """Look for each person, create them, and add them to a group, with the requests of Entra."""
    with demo.step("Entra pushes Dana (manager), Sam, and the group Finance with both"):
        scim = scim_of(demo)
        people = (("dana", DANA, "Dana", "Reyes", "Finance Manager"), ("sam", SAM, "Sam", "Okafor", "Clerk"))
        for name, external_id, given, family, title in people:
            user_name = f"{name}@acme.example"
            found = expect(scim.call("GET", "/Users", filter=f'userName eq "{user_name}"'), 200, "look for a person")
            if found["totalResults"]:
                raise StepError(f"{name} is there already")
            push(demo, "/Users", entra_user(user_name, external_id, given, family, title), name)
        group = push(demo, "/Groups", entra_group("Finance", "7f4bc1a3-285e-48ae-8202-5accb43efb0e"), "finance")
        members = [{"$ref": None, "value": demo.ids[name]} for name in ("dana", "sam")]
        added = scim.call("PATCH", f"/Groups/{group}", entra_patch("Add", "members", members))
        if added.status not in (200, 204):
            expect(added, 204, "add the members")


def push_agents(demo: Scenario) -> None:
    """Create the agents by SCIM, with their owner."""
    with demo.step("Entra pushes the agents invoice-bot, ocr-bot and erp-bot, owned by Dana"):
        for name in AGENTS:
            push(demo, "/Agents", agent_body(name, f"agent-{name}", demo.ids["dana"]), name)


def register(demo: Scenario) -> None:
    """Create the connection of the upstream issuer, and the resource servers."""
    with demo.step("An administrator trusts the company's sign-in, and registers two services") as notes:
        oidc = oidc_connection("sign-in", demo.upstream.url, PORTAL, demo.ids["entra"])
        keys = {"jwks_uri": f"{demo.upstream.url}/keys", "subject_claim": "oid"}
        create(demo, "/connections", oidc | keys, "trust the upstream issuer")
        scopes = [READ_INVOICES, PAY_INVOICES]
        types = [{"type": "task_resource_access", "scopes": scopes}]
        resource = {"audience": ERP, "scopes": scopes, "authorization_details_types": types}
        create(demo, "/resources", resource | {"principal_id": demo.ids["erp-bot"]}, "register the ERP")
        create(demo, "/resources", {"audience": LEDGER, "scopes": [READ_ENTRIES]}, "register the ledger")
        notes.append(f"the ERP, {ERP}, run by erp-bot: a service that is an agent too, with one client")
        notes.append(f"the ledger, {LEDGER}")


def delegate(demo: Scenario) -> None:
    """Create the delegations, and the clients of the agents."""
    with demo.step("An administrator lets agents act for members of Finance (three delegations)") as notes:
        for agent, audience, scope, max_depth, note in (
            ("invoice-bot", ERP, READ_INVOICES, 2, "at the ERP; it may hand the task on once"),
            ("ocr-bot", ERP, READ_INVOICES, 1, "at the ERP; it may not hand the task on"),
            ("erp-bot", LEDGER, READ_ENTRIES, 1, "at the ledger"),
        ):
            parties = {"actor_id": demo.ids[agent], "subject_group_id": demo.ids["finance"]}
            limits = delegation_limits(audience, scope, max_depth)
            create(demo, "/delegations", parties | limits, f"delegate to {agent}")
            notes.append(f"{agent}: {scope} {note}")
        for agent in ("invoice-bot", "ocr-bot"):
            register_agent(demo, agent)


def create(demo: Scenario, path: str, body: dict[str, Any], what: str) -> Any:
    """Create something in the tenant through the admin API, and return it. Raises ``StepError``."""
    return expect(demo.admin.call("POST", f"/tenants/{demo.tenant}{path}", body), 201, what)


def register_agent(demo: Scenario, name: str) -> None:
    """Register an OAuth client for an agent, by the public half of the agent's own key."""
    key = ECKey.generate_key("P-256")
    key.ensure_kid()
    client = {
        "client_name": name,
        "principal_id": demo.ids[name],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    made = create(demo, "/clients", client, f"register {name}")
    demo.agents[name] = AgentClient(demo.http, demo.issuer, made["client_id"], key)


def register_service(demo: Scenario, name: str, body: dict[str, Any]) -> ServiceClient:
    """Register the one client of a service."""
    client = {"client_name": name, "token_endpoint_auth_method": "client_secret_basic"}
    made = create(demo, "/clients", client | body, f"register {name}")
    return ServiceClient(demo.http, demo.issuer, made["client_id"], made["client_secret"])


@contextmanager
def services(demo: Scenario) -> Iterator[None]:
    """Run the ERP and the ledger. Each verifies tokens offline and introspects them; the ERP adds Cedar policies."""
    of_ledger = register_service(demo, "ledger", {"audience": LEDGER})
    of_erp = register_service(demo, "erp", {"audience": ERP, "principal_id": demo.ids["erp-bot"]})
    with serving(ledger(of_ledger)) as ledger_url:
        demo.erp = LedgerOfErp(of_erp, ledger_url)
        with serving(erp(demo.erp)) as erp_url:
            demo.urls = {ERP: erp_url, LEDGER: ledger_url}
            yield
