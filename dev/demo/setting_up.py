"""What is there before anybody acts: a tenant, people and agents, services, and who may act for whom where."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from joserfc.jwk import ECKey

from dev.demo.api import AgentClient, Api, ServiceClient, StoryError, entra_group, entra_patch, entra_user, expect
from dev.demo.neighbours import serving
from dev.demo.resource_servers import ERP, LEDGER, PAY_INVOICES, READ_ENTRIES, READ_INVOICES, LedgerOfErp, erp, ledger
from dev.demo.telling import Story

TENANT = "story"
TENANTS_MAX = 100
PORTAL = "acme-portal"
DANA, SAM = "5b7c1f0a-2f7b-4d57-9d0e-0c6f6a1f2d11", "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"
AGENTS = ("invoice-bot", "ocr-bot", "erp-bot")


def set_up(story: Story) -> None:
    """Take the steps in their order."""
    for step in (create_tenant, push_people, push_agents, register, delegate):
        step(story)


def create_tenant(story: Story) -> None:
    """An administrator makes a tenant and the connection that its identity provider will push through."""
    with story.telling("An administrator creates a tenant, and a SCIM connection for Entra") as notes:
        story.tenant = _new_tenant(story)
        connection = {"kind": "scim", "name": "entra", "dialect": "entra"}
        made = expect(story.admin.call("POST", f"/tenants/{story.tenant}/connections", connection), 201, "connect")
        story.scim = Api(story.http, made["scim_base_url"], made["token"])
        story.ids["entra"] = made["id"]
        notes.append(f"{made['scim_base_url']}; its token is shown once and stored as a hash")


def _new_tenant(story: Story) -> str:
    """Return the first name that no tenant has: a story that was interrupted is played again in another tenant."""
    for slug in (TENANT, *(f"{TENANT}-{number}" for number in range(2, TENANTS_MAX))):
        answer = story.admin.call("POST", "/tenants", {"slug": slug, "display_name": "Acme Corporation (story)"})
        if answer.status != 409:
            expect(answer, 201, "create the tenant")
            return slug
    raise StoryError(f"{TENANTS_MAX - 1} tenants hold stories that were interrupted")


def push(story: Story, path: str, body: dict[str, Any], name: str) -> str:
    """POST one resource as the identity provider; remember its id by name."""
    story.ids[name] = expect(scim_of(story).call("POST", path, body), 201, f"push {name}")["id"]
    return story.ids[name]


def scim_of(story: Story) -> Api:
    """Return the identity provider's side of the connection."""
    if story.scim is None:
        raise AssertionError("the connection is made first")
    return story.scim


def push_people(story: Story) -> None:
    """Entra looks for each person, creates them, and puts them into a group, as it really does."""
    with story.telling("Entra pushes Dana (manager), Sam, and the group Finance with both"):
        scim = scim_of(story)
        people = (("dana", DANA, "Dana", "Reyes", "Finance Manager"), ("sam", SAM, "Sam", "Okafor", "Clerk"))
        for name, external_id, given, family, title in people:
            user_name = f"{name}@acme.example"
            found = expect(scim.call("GET", "/Users", filter=f'userName eq "{user_name}"'), 200, "look for a person")
            if found["totalResults"]:
                raise StoryError(f"{name} is there already")
            push(story, "/Users", entra_user(user_name, external_id, given, family, title), name)
        group = push(story, "/Groups", entra_group("Finance", "7f4bc1a3-285e-48ae-8202-5accb43efb0e"), "finance")
        members = [{"$ref": None, "value": story.ids[name]} for name in ("dana", "sam")]
        added = scim.call("PATCH", f"/Groups/{group}", entra_patch("Add", "members", members))
        if added.status not in (200, 204):
            expect(added, 204, "add the members")


def push_agents(story: Story) -> None:
    """Agents are pushed like people, with an owner who answers for them."""
    with story.telling("Entra pushes the agents invoice-bot, ocr-bot and erp-bot, owned by Dana"):
        for name in AGENTS:
            agent = {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"],
                "externalId": f"agent-{name}",
                "agentUserName": name,
                "displayName": name,
                "active": True,
                "owners": [{"value": story.ids["dana"]}],
            }
            push(story, "/Agents", agent, name)


def register(story: Story) -> None:
    """An administrator says whom the company's sign-in is, and which services there are."""
    with story.telling("An administrator trusts the company's sign-in, and registers two services") as notes:
        oidc = {
            "kind": "oidc",
            "name": "sign-in",
            "issuer": story.upstream.url,
            "jwks_uri": f"{story.upstream.url}/keys",
            "audiences": [PORTAL],
            "subject_claim": "oid",
            "match": "externalId",
            "provisioned_by": story.ids["entra"],
        }
        create(story, "/connections", oidc, "trust the upstream issuer")
        scopes = [READ_INVOICES, PAY_INVOICES]
        types = [{"type": "task_resource_access", "scopes": scopes}]
        resource = {"audience": ERP, "scopes": scopes, "authorization_details_types": types}
        create(story, "/resources", resource | {"principal_id": story.ids["erp-bot"]}, "register the ERP")
        create(story, "/resources", {"audience": LEDGER, "scopes": [READ_ENTRIES]}, "register the ledger")
        notes.append(f"the ERP, {ERP}, run by erp-bot: a service that is an agent too, with one client")
        notes.append(f"the ledger, {LEDGER}")


def delegate(story: Story) -> None:
    """An administrator says who may act for whom, at which service."""
    with story.telling("An administrator lets agents act for members of Finance (three delegations)") as notes:
        for agent, audience, scope, max_depth, told in (
            ("invoice-bot", ERP, READ_INVOICES, 2, "at the ERP; it may hand the task on once"),
            ("ocr-bot", ERP, READ_INVOICES, 1, "at the ERP; it may not hand the task on"),
            ("erp-bot", LEDGER, READ_ENTRIES, 1, "at the ledger"),
        ):
            delegation = {
                "actor_id": story.ids[agent],
                "subject_group_id": story.ids["finance"],
                "resource": audience,
                "scopes": [scope],
                "max_lifetime_s": 120,
                "max_depth": max_depth,
            }
            create(story, "/delegations", delegation, f"delegate to {agent}")
            notes.append(f"{agent}: {scope} {told}")
        for agent in ("invoice-bot", "ocr-bot"):
            register_agent(story, agent)


def create(story: Story, path: str, body: dict[str, Any], what: str) -> Any:
    """Let the administrator create one thing in the tenant."""
    return expect(story.admin.call("POST", f"/tenants/{story.tenant}{path}", body), 201, what)


def register_agent(story: Story, name: str) -> None:
    """Register an OAuth client for an agent, by the public half of the agent's own key."""
    key = ECKey.generate_key("P-256")
    key.ensure_kid()
    client = {
        "client_name": name,
        "principal_id": story.ids[name],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    made = create(story, "/clients", client, f"register {name}")
    story.agents[name] = AgentClient(story.http, story.issuer, made["client_id"], key)


def register_service(story: Story, name: str, body: dict[str, Any]) -> ServiceClient:
    """Register the one client of a service."""
    client = {"client_name": name, "token_endpoint_auth_method": "client_secret_basic"}
    made = create(story, "/clients", client | body, f"register {name}")
    return ServiceClient(story.http, story.issuer, made["client_id"], made["client_secret"])


@contextmanager
def services(story: Story) -> Iterator[None]:
    """Run the ERP and the ledger. Each verifies offline and asks the issuer; in the ERP, Cedar decides besides."""
    of_ledger = register_service(story, "ledger", {"audience": LEDGER})
    of_erp = register_service(story, "erp", {"audience": ERP, "principal_id": story.ids["erp-bot"]})
    with serving(ledger(of_ledger)) as ledger_url:
        story.erp = LedgerOfErp(of_erp, ledger_url)
        with serving(erp(story.erp)) as erp_url:
            story.urls = {ERP: erp_url, LEDGER: ledger_url}
            yield
