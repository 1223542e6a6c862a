"""Sam's invoice: from an identity provider's first push to the moment when everything that rests on Sam is dead."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from identity_verifier import Introspector
from joserfc.jwk import ECKey
from rich.console import Console

from dev.demo.api import AgentClient, Answer, Api, StoryError, entra_group, entra_patch, entra_user, expect
from dev.demo.neighbours import UpstreamIssuer, serving
from dev.demo.trail import draw_trail

TENANT = "story"
TENANTS_MAX = 100
ERP = "https://erp.example"
READ = "invoices.read"
APP = "acme-portal"
SAM, DANA = "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "5b7c1f0a-2f7b-4d57-9d0e-0c6f6a1f2d11"
CASCADE_WAIT_S = 20.0


@dataclass(slots=True)
class Story:
    """What the steps hand on to one another."""

    http: httpx2.Client
    base_url: str
    admin: Api
    upstream: UpstreamIssuer
    console: Console
    tenant: str = ""
    erp_url: str = ""
    scim: Api | None = None
    ids: dict[str, str] = field(default_factory=dict)
    clients: dict[str, AgentClient] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    txn: str = ""
    step: int = 0

    @property
    def issuer(self) -> str:
        """The tenant's issuer."""
        return f"{self.base_url}/t/{self.tenant}"

    @contextmanager
    def telling(self, what: str) -> Iterator[list[str]]:
        """Time one step and print what it did; what the block appends is printed below it."""
        self.step += 1
        notes: list[str] = []
        started = time.perf_counter()
        yield notes
        spent_ms = (time.perf_counter() - started) * 1000
        self.console.print(f"[green]✓[/green] [bold]{self.step:>2}[/bold] {what} [dim]{spent_ms:,.0f} ms[/dim]")
        for note in notes:
            self.console.print(f"     [dim]{note}[/dim]")


def play(base_url: str, admin_token: str, console: Console) -> dict[str, str]:
    """Play the story once against the product at ``base_url``, in a new tenant; return the tenant and the task.

    Raises ``StoryError`` when a step does not end as it should.
    """
    upstream = UpstreamIssuer()
    with httpx2.Client(timeout=10.0, trust_env=False) as http, serving(upstream.app) as upstream_url:
        upstream.url = upstream_url
        story = Story(http, base_url, Api(http, f"{base_url}/admin/v1", admin_token), upstream, console)
        create_tenant(story)
        push_people(story)
        push_agents(story)
        permit(story)
        with guarded_service(story) as erp_url:
            story.erp_url = erp_url
            for chapter in (act, hand_on, sam_leaves, dana_leaves, tell_trail):
                chapter(story)
        return {"tenant": story.tenant, "txn": story.txn}


def create_tenant(story: Story) -> None:
    """An administrator makes a tenant and the connection that its identity provider will push through."""
    with story.telling("an administrator creates a tenant and a SCIM connection for Entra") as notes:
        story.tenant = _new_tenant(story)
        connection = {"kind": "scim", "name": "entra", "dialect": "entra"}
        made = expect(story.admin.call("POST", f"/tenants/{story.tenant}/connections", connection), 201, "connect")
        story.scim = Api(story.http, made["scim_base_url"], made["token"])
        story.ids["entra"], story.tokens["scim_token"] = made["id"], made["token"]
        notes.append(f"SCIM base URL {made['scim_base_url']}, token shown once and stored hashed")


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
    if story.scim is None:
        raise AssertionError("the connection is made first")
    story.ids[name] = expect(story.scim.call("POST", path, body), 201, f"push {name}")["id"]
    return story.ids[name]


def push_people(story: Story) -> None:
    """Entra looks for each person, creates them, and puts them into a group, as it really does."""
    with story.telling("Entra pushes Dana (manager), Sam and group Finance with both"):
        scim = story.scim
        if scim is None:
            raise AssertionError("the connection is made first")
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
    with story.telling("Entra pushes agents invoice-bot and ocr-bot, owned by Dana"):
        for name in ("invoice-bot", "ocr-bot"):
            agent = {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"],
                "externalId": f"agent-{name}",
                "agentUserName": name,
                "displayName": name,
                "active": True,
                "owners": [{"value": story.ids["dana"]}],
            }
            push(story, "/Agents", agent, name)


def permit(story: Story) -> None:
    """An administrator says whom the company's sign-in is, what the ERP offers, and who may act for whom there."""
    with story.telling(f"an administrator lets invoice-bot act for members of Finance on {ERP} with {READ}") as notes:
        tenant = f"/tenants/{story.tenant}"
        oidc = {
            "kind": "oidc",
            "name": "sign-in",
            "issuer": story.upstream.url,
            "jwks_uri": f"{story.upstream.url}/keys",
            "audiences": [APP],
            "subject_claim": "oid",
            "match": "externalId",
            "provisioned_by": story.ids["entra"],
        }
        expect(story.admin.call("POST", f"{tenant}/connections", oidc), 201, "trust the upstream issuer")
        scopes = [READ, "invoices.pay"]
        types = [{"type": "task_resource_access", "scopes": scopes}]
        resource = {"audience": ERP, "scopes": scopes, "authorization_details_types": types}
        expect(story.admin.call("POST", f"{tenant}/resources", resource), 201, "register the resource server")
        for name, depth in (("invoice-bot", 2), ("ocr-bot", 1)):
            register_agent(story, name)
            delegation = {
                "actor_id": story.ids[name],
                "subject_group_id": story.ids["finance"],
                "resource": ERP,
                "scopes": [READ],
                "max_lifetime_s": 120,
                "max_depth": depth,
            }
            expect(story.admin.call("POST", f"{tenant}/delegations", delegation), 201, "delegate")
        notes.append("each agent authenticates with a key of its own; ocr-bot may receive a task, and not hand it on")


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
    made = expect(story.admin.call("POST", f"/tenants/{story.tenant}/clients", client), 201, f"register {name}")
    story.clients[name] = AgentClient(story.http, story.issuer, made["client_id"], key)


@contextmanager
def guarded_service(story: Story) -> Iterator[str]:
    """Start the example service, which verifies offline, asks the issuer whether it is still true, and lets Cedar
    decide."""
    from examples.erp.erp import create_app  # noqa: PLC0415 - cedarpy comes with the demo only

    body = {"client_name": "erp", "audience": ERP, "token_endpoint_auth_method": "client_secret_basic"}
    made = expect(story.admin.call("POST", f"/tenants/{story.tenant}/clients", body), 201, "register the ERP")
    introspector = Introspector(f"{story.issuer}/oauth/introspect", made["client_id"], made["client_secret"])
    with serving(create_app(story.issuer, ERP, introspector=introspector)) as url:
        yield url


def call_erp(story: Story, method: str, path: str, token: str) -> Answer:
    """Call the example service as an agent would."""
    return Api(story.http, story.erp_url, token).call(method, path)


def act(story: Story) -> None:
    """Sam signs in upstream; invoice-bot trades Sam's ID token for a task token and uses it."""
    with story.telling("Sam's ID token is exchanged for a task token of invoice-bot") as notes:
        id_token = story.upstream.id_token(SAM, APP)
        answer = story.clients["invoice-bot"].exchange(id_token, "id_token", resource=ERP, scope=READ)
        issued = expect(answer, 200, "exchange")
        if issued["expires_in"] != 120:
            raise StoryError(f"the task token should live 120 s, not {issued['expires_in']}")
        claims = claims_of(issued["access_token"])
        story.tokens["task_token"], story.txn = issued["access_token"], claims["txn"]
        notes.append(
            f"sub Sam · act invoice-bot · aud {claims['aud']} · scope {claims['scope']} · {issued['expires_in']} s"
        )
    with story.telling("the ERP lets it read invoice 17, and refuses to pay it"):
        expect(call_erp(story, "GET", "/invoices/17", story.tokens["task_token"]), 200, "read the invoice")
        expect(call_erp(story, "POST", "/invoices/17/pay", story.tokens["task_token"]), 403, "pay the invoice")


def hand_on(story: Story) -> None:
    """invoice-bot hands the task on: the chain grows by one and the authority does not."""
    with story.telling("invoice-bot hands on to ocr-bot: one more actor, nothing more allowed") as notes:
        answer = story.clients["ocr-bot"].exchange(story.tokens["task_token"], "access_token", scope=READ)
        issued = expect(answer, 200, "hand on")
        claims = claims_of(issued["access_token"])
        if claims["act"]["act"]["sub"] != story.ids["invoice-bot"] or claims["txn"] != story.txn:
            raise StoryError("the chain or the task was lost")
        story.tokens["nested_token"] = issued["access_token"]
        expect(call_erp(story, "GET", "/invoices/17", issued["access_token"]), 200, "read as ocr-bot")
        wider = story.clients["ocr-bot"].exchange(story.tokens["task_token"], "access_token", scope="invoices.pay")
        expect(wider, 400, "ask for more than was handed on")
        notes.append("act: ocr-bot ← invoice-bot, for Sam; asking for invoices.pay is refused: invalid_scope")


def sam_leaves(story: Story) -> None:
    """Entra says that Sam left; nothing that rests on Sam lives a moment longer."""
    with story.telling("Entra sends active=False for Sam") as notes:
        leave(story, "sam")
        left_at = time.perf_counter()
        for token in ("task_token", "nested_token"):
            refused = expect(call_erp(story, "GET", "/invoices/17", story.tokens[token]), 401, "use a dead token")
            after_ms = (time.perf_counter() - left_at) * 1000
            notes.append(
                f"{token.replace('_', ' ')}, still unexpired: {refused['reason']} {after_ms:.0f} ms after the 200"
            )
        id_token = story.upstream.id_token(SAM, APP)
        again = story.clients["invoice-bot"].exchange(id_token, "id_token", resource=ERP)
        error = expect(again, 400, "exchange for somebody who left")["error"]
        notes.append(f"a fresh ID token of Sam is refused in exchange: {error}")


def leave(story: Story, name: str) -> None:
    """Deactivate a person as Entra does: a string, not a boolean."""
    if story.scim is None:
        raise AssertionError("the connection is made first")
    patch = entra_patch("Replace", "active", "False")
    expect(story.scim.call("PATCH", f"/Users/{story.ids[name]}", patch), 200, f"deactivate {name}")


def dana_leaves(story: Story) -> None:
    """The owner leaves; the worker suspends the agents that nobody answers for any more."""
    with story.telling("Dana leaves: invoice-bot has no owner, and the worker suspends it") as notes:
        leave(story, "dana")
        left_at = time.perf_counter()
        path = f"/tenants/{story.tenant}/principals/{story.ids['invoice-bot']}"
        wait_until(lambda: expect(story.admin.call("GET", path), 200, "look at the agent")["state"] == "suspended")
        notes.append(f"suspended {(time.perf_counter() - left_at) * 1000:.0f} ms after the 200; its key is refused now")
        refused = story.clients["invoice-bot"].exchange(story.upstream.id_token(SAM, APP), "id_token", resource=ERP)
        expect(refused, 401, "use a suspended agent's key")


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds. Raises ``StoryError`` when it does not in time."""
    deadline = time.monotonic() + CASCADE_WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise StoryError(f"the worker did not suspend the agent within {CASCADE_WAIT_S:.0f} s; does one run?")
        time.sleep(0.02)


def tell_trail(story: Story) -> None:
    """Everything that happened in the task, from the audit log."""
    with story.telling("the audit log of the task:"):
        path = f"/tenants/{story.tenant}/events"
        events = expect(story.admin.call("GET", path, txn=story.txn), 200, "read the trail")["items"]
        if not any(event["type"] == "token.issued" for event in events):
            raise StoryError("the audit log does not hold the issued tokens")
    names = {story.ids[name]: name for name in ("sam", "dana", "invoice-bot", "ocr-bot")}
    story.console.print(draw_trail(story.txn, events, names))


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token to look at, not to trust: the verifier does that."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
