"""Sam's invoice: from an identity provider's first push to the moment when everything that rests on Sam is dead."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
from rich.console import Console

from dev.demo.api import Answer, Api, StoryError, entra_patch, expect
from dev.demo.neighbours import UpstreamIssuer, serving
from dev.demo.resource_servers import ERP, LEDGER, PAY_INVOICES, READ_ENTRIES, READ_INVOICES
from dev.demo.setting_up import AGENTS, DANA, PORTAL, SAM, create, scim_of, services, set_up
from dev.demo.telling import Story
from dev.demo.trail import draw_trail

CASCADE_WAIT_S = 20.0
PLACES = {ERP: "the ERP", LEDGER: "the ledger"}
PATHS = {ERP: "/invoices/17", LEDGER: "/entries/17"}


def play(base_url: str, admin_token: str, console: Console) -> dict[str, str]:
    """Play the story once against the product at ``base_url``, in a new tenant; return the tenant and the task.

    Raises ``StoryError`` when a step does not end as it should.
    """
    upstream = UpstreamIssuer()
    with httpx2.Client(timeout=10.0, trust_env=False) as http, serving(upstream.app) as upstream_url:
        upstream.url = upstream_url
        story = Story(http, base_url, Api(http, f"{base_url}/admin/v1", admin_token), upstream, console)
        set_up(story)
        with services(story):
            for chapter in CHAPTERS:
                chapter(story)
        return {"tenant": story.tenant, "txn": story.txn}


def act(story: Story) -> None:
    """Sam signs in upstream; invoice-bot exchanges Sam's ID token for a task token and uses it."""
    with story.telling("Sam's ID token is exchanged for a task token of invoice-bot") as notes:
        answer = begin_task(story, SAM)
        issued = expect(answer, 200, "exchange")
        if issued["expires_in"] != 120:
            raise StoryError(f"the task token should live 120 s, not {issued['expires_in']}")
        story.tokens["task"] = issued["access_token"]
        story.txn = claims_of(issued["access_token"])["txn"]
        notes.append(f"{told_claims(story, issued['access_token'])} · {issued['expires_in']} s")
        notes.append("sub: for whom; act: by whom; aud: the one service that accepts it; scope: what it allows there")
    with story.telling("The ERP lets it read invoice 17, and refuses to pay it"):
        expect(call(story, ERP, story.tokens["task"]), 200, "read the invoice")
        refused = call(story, ERP, story.tokens["task"], "/invoices/17/pay", method="POST")
        expect(refused, 403, "pay the invoice")


def begin_task(story: Story, person: str) -> Answer:
    """Let invoice-bot ask for a task token for a person who has just signed in."""
    id_token = story.upstream.id_token(person, PORTAL)
    return story.agents["invoice-bot"].exchange(id_token, "id_token", resource=ERP, scope=READ_INVOICES)


def call(story: Story, audience: str, token: str, path: str = "", *, method: str = "GET") -> Answer:
    """Call a service with a token; for what it knows of invoice 17, unless told otherwise."""
    return Api(story.http, story.urls[audience], token).call(method, path or PATHS[audience])


def hand_on(story: Story) -> None:
    """invoice-bot hands the task on: the chain grows by one and the authority does not."""
    with story.telling("invoice-bot hands the task on to ocr-bot: one more actor, nothing more allowed") as notes:
        answer = story.agents["ocr-bot"].exchange(story.tokens["task"], "access_token", scope=READ_INVOICES)
        issued = expect(answer, 200, "hand on")
        story.tokens["nested"] = issued["access_token"]
        check_chain(story, issued["access_token"], "ocr-bot", "invoice-bot")
        expect(call(story, ERP, issued["access_token"]), 200, "read as ocr-bot")
        wider = story.agents["ocr-bot"].exchange(story.tokens["task"], "access_token", scope=PAY_INVOICES)
        error = expect(wider, 400, "ask for more than was handed on")["error"]
        notes.append(told_claims(story, issued["access_token"]))
        notes.append(f"asking for {PAY_INVOICES} is refused: {error}")


def meet_the_next_service(story: Story) -> None:
    """The ERP needs the ledger: what it received is of no use there, and without a pair it gets nothing else."""
    with story.telling("The ERP needs the ledger to answer, and has received a token for itself alone") as notes:
        received = story.tokens["task"]
        refused = expect_reason(call(story, LEDGER, received), 401, "audience")
        notes.append(f"the ledger refuses this token, which is not for it: {refused}")
        refused = expect_reason(call(story, ERP, received, "/invoices/17/entry"), 403, "pair_not_allowed")
        notes.append(f"the issuer refuses to exchange it for one for the ledger: {refused}")


def go_on(story: Story) -> None:
    """With a pair of the two, the ERP goes on to the ledger for Sam, as the next actor."""
    with story.telling("An administrator registers the pair of the ERP and the ledger") as notes:
        pair = {"from": ERP, "to": LEDGER, "scopes": {READ_INVOICES: [READ_ENTRIES]}}
        create(story, "/resource-pairs", pair, "register the pair")
        notes.append(f"a token with {READ_INVOICES} for the ERP may be exchanged for {READ_ENTRIES} at the ledger")
    with story.telling("The ERP exchanges the token, and asks the ledger: for Sam, in the same task") as notes:
        answer = call(story, ERP, story.tokens["task"], "/invoices/17/entry")
        seen = expect(answer, 200, "let the ERP ask the ledger")
        story.tokens["ledger"] = token_of_erp(story)
        check_chain(story, story.tokens["ledger"], "erp-bot", "invoice-bot")
        if seen["for"] != story.ids["sam"] or seen["txn"] != story.txn or len(seen["by"]) != 2:
            raise StoryError(f"the ledger saw another task: {json.dumps(seen)}")
        notes.append(told_claims(story, story.tokens["ledger"]))
        back = expect_reason(call(story, ERP, story.tokens["ledger"]), 401, "audience")
        notes.append(f"the ERP refuses this token, which is for the ledger alone: {back}")


def token_of_erp(story: Story) -> str:
    """Return the token for the ledger that the ERP got last."""
    if story.erp is None:
        raise AssertionError("the services run first")
    return story.erp.tokens[-1]


def check_chain(story: Story, token: str, *actors: str) -> None:
    """Check that a token is Sam's, of the task, and names all actors. Raises ``StoryError``."""
    claims = claims_of(token)
    found = (claims["sub"], claims["txn"], chain_in(claims))
    if found != (story.ids["sam"], story.txn, [story.ids[actor] for actor in actors]):
        raise StoryError(f"the person, the task or the chain was lost: {json.dumps(claims)}")


def expect_reason(answer: Answer, status: int, reason: str) -> str:
    """Return for what reason a service refused, which is to be this one. Raises ``StoryError``."""
    found = str(expect(answer, status, f"be refused for {reason}")["reason"])
    if reason not in found:
        raise StoryError(f"expected the reason {reason}, got {found}")
    return reason


def sam_leaves(story: Story) -> None:
    """Entra says that Sam left; nothing that rests on Sam lives a moment longer, at any service."""
    with story.telling("Entra sends active=False for Sam, and every token that rests on Sam ends") as notes:
        leave(story, "sam")
        left_at = time.perf_counter()
        for whose, name, audience in (
            ("invoice-bot's token", "task", ERP),
            ("ocr-bot's token", "nested", ERP),
            ("erp-bot's token", "ledger", LEDGER),
        ):
            ended = expect_ended(story, audience, story.tokens[name], left_at)
            notes.append(f"{whose}, unexpired, is refused at {PLACES[audience]}: inactive, {ended}")
        error = expect(begin_task(story, SAM), 400, "exchange for somebody who left")["error"]
        notes.append(f"a fresh ID token of Sam is refused in exchange: {error}")


def expect_ended(story: Story, audience: str, token: str, ended_at: float) -> str:
    """Return how soon a service refuses a token that was ended. Raises ``StoryError``."""
    expect_reason(call(story, audience, token), 401, "inactive")
    return f"{(time.perf_counter() - ended_at) * 1000:.0f} ms later"


def leave(story: Story, name: str) -> None:
    """Deactivate a person as Entra does: a string, not a boolean."""
    patch = entra_patch("Replace", "active", "False")
    expect(scim_of(story).call("PATCH", f"/Users/{story.ids[name]}", patch), 200, f"deactivate {name}")


def administrator_stops(story: Story) -> None:
    """One call of an administrator ends a chain at both services: that of a task, or each of an agent."""
    with story.telling("An administrator ends a chain at both services with one call, here for Dana") as notes:
        agent = f"/principals/{story.ids['invoice-bot']}"
        for what, path in (("task cancel", "/tasks/{txn}/cancel"), ("agent suspend", f"{agent}/suspend")):
            task, crossed = begin_chain(story, DANA)
            administer(story, path.format(txn=claims_of(task)["txn"]), what)
            ended_at = time.perf_counter()
            first, second = expect_ended(story, ERP, task, ended_at), expect_ended(story, LEDGER, crossed, ended_at)
            notes.append(f"identity {what}: inactive at the ERP {first}, at the ledger {second}")
        administer(story, f"{agent}/reactivate", "agent reactivate")


def begin_chain(story: Story, person: str) -> tuple[str, str]:
    """Return a new task token for the ERP, and that for the ledger for which the ERP exchanged it; both are in use."""
    task: str = expect(begin_task(story, person), 200, "exchange")["access_token"]
    expect(call(story, ERP, task, "/invoices/17/entry"), 200, "let the ERP ask the ledger")
    return task, token_of_erp(story)


def administer(story: Story, path: str, what: str) -> None:
    """Let the administrator change one thing of the tenant."""
    answer = story.admin.call("POST", f"/tenants/{story.tenant}{path}", {"reason": "investigation"})
    expect(answer, 200, what)


def dana_leaves(story: Story) -> None:
    """The owner leaves; the worker suspends the agents that nobody answers for any more."""
    with story.telling("Dana leaves: the agents have no owner any more, and the worker suspends them") as notes:
        leave(story, "dana")
        left_at = time.perf_counter()
        wait_until(lambda: all(is_suspended(story, agent) for agent in AGENTS))
        expect(begin_task(story, SAM), 401, "use a suspended agent's key")
        spent_ms = (time.perf_counter() - left_at) * 1000
        notes.append(f"all three are suspended {spent_ms:.0f} ms later, and the key of invoice-bot is refused")


def is_suspended(story: Story, agent: str) -> bool:
    """Return whether an agent is suspended now."""
    path = f"/tenants/{story.tenant}/principals/{story.ids[agent]}"
    return bool(expect(story.admin.call("GET", path), 200, f"look at {agent}")["state"] == "suspended")


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds. Raises ``StoryError`` when it does not in time."""
    deadline = time.monotonic() + CASCADE_WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise StoryError(f"the worker did not suspend the agents within {CASCADE_WAIT_S:.0f} s; does one run?")
        time.sleep(0.02)


def tell_trail(story: Story) -> None:
    """Everything that happened in the task, from the audit log."""
    with story.telling("The audit log of Sam's task, by its txn"):
        path = f"/tenants/{story.tenant}/events"
        events = expect(story.admin.call("GET", path, txn=story.txn), 200, "read the audit log")["items"]
        issued = [event["detail"]["audience"] for event in events if event["type"] == "token.issued"]
        if issued != [ERP, ERP, LEDGER]:
            raise StoryError(f"the audit log should hold tokens for both services, not {issued}")
    story.console.print(draw_trail(story.txn, events, story.names | PLACES))


def told_claims(story: Story, token: str) -> str:
    """Return in one line for whom, by whom, where and what a token allows."""
    claims = claims_of(token)
    names = story.names
    actors = " ← ".join(names[actor] for actor in chain_in(claims))
    return f"sub {names[claims['sub']]} · act {actors} · aud {claims['aud']} · scope {claims['scope']}"


def chain_in(claims: dict[str, Any]) -> list[str]:
    """Return the ids of all actors, the present one first."""
    actors, actor = [], claims.get("act")
    while actor is not None:
        actors.append(actor["sub"])
        actor = actor.get("act")
    return actors


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token to look at, not to trust: the verifier does that."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


CHAPTERS = (act, hand_on, meet_the_next_service, go_on, sam_leaves, administrator_stops, dana_leaves, tell_trail)
