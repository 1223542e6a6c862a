"""The steps of the demo, from the first task token for Sam to the end of all tokens that depend on Sam."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
from rich.console import Console

from dev.demo.api import Answer, Api, StepError, expect
from dev.demo.audit_view import audit_tree
from dev.demo.bodies import entra_patch
from dev.demo.resource_servers import ERP, LEDGER, PAY_INVOICES, READ_ENTRIES, READ_INVOICES
from dev.demo.scenario import Scenario
from dev.demo.setup import AGENTS, DANA, PORTAL, SAM, create, scim_of, services, set_up
from dev.demo.upstream import UpstreamIssuer, serving

CASCADE_WAIT_S = 20.0
PLACES = {ERP: "the ERP", LEDGER: "the ledger"}
PATHS = {ERP: "/invoices/17", LEDGER: "/entries/17"}


def play(base_url: str, admin_token: str, console: Console) -> dict[str, str]:
    """Run the demo once against the product at ``base_url``, in a new tenant; return the tenant and the task.

    Raises ``StepError`` when a step does not end as it should.
    """
    upstream = UpstreamIssuer()
    with httpx2.Client(timeout=10.0, trust_env=False) as http, serving(upstream.app) as upstream_url:
        upstream.url = upstream_url
        demo = Scenario(http, base_url, Api(http, f"{base_url}/admin/v1", admin_token), upstream, console)
        set_up(demo)
        with services(demo):
            for take_step in STEPS:
                take_step(demo)
        return {"tenant": demo.tenant, "txn": demo.txn}


def act(demo: Scenario) -> None:
    """Exchange Sam's ID token for a task token of invoice-bot, and use it."""
    with demo.step("Sam's ID token is exchanged for a task token of invoice-bot") as notes:
        answer = begin_task(demo, SAM)
        issued = expect(answer, 200, "exchange")
        if issued["expires_in"] != 120:
            raise StepError(f"the task token should live 120 s, not {issued['expires_in']}")
        demo.tokens["task"] = issued["access_token"]
        demo.txn = claims_of(issued["access_token"])["txn"]
        notes.append(f"{claims_in_words(demo, issued['access_token'])} · {issued['expires_in']} s")
        notes.append("sub: for whom; act: by whom; aud: the one service that accepts it; scope: what it allows there")
    with demo.step("The ERP lets it read invoice 17, and refuses to pay it"):
        expect(call(demo, ERP, demo.tokens["task"]), 200, "read the invoice")
        refused = call(demo, ERP, demo.tokens["task"], "/invoices/17/pay", method="POST")
        expect(refused, 403, "pay the invoice")


def begin_task(demo: Scenario, person: str) -> Answer:
    """Exchange a new ID token of a person for a task token of invoice-bot."""
    id_token = demo.upstream.id_token(person, PORTAL)
    return demo.agents["invoice-bot"].exchange(id_token, "id_token", resource=ERP, scope=READ_INVOICES)


def call(demo: Scenario, audience: str, token: str, path: str = "", *, method: str = "GET") -> Answer:
    """Call a service with a token; for invoice 17, unless a path is given."""
    return Api(demo.http, demo.urls[audience], token).call(method, path or PATHS[audience])


def hand_on(demo: Scenario) -> None:
    """Hand the task on to ocr-bot: one more actor, the same authority."""
    with demo.step("invoice-bot hands the task on to ocr-bot: one more actor, nothing more allowed") as notes:
        answer = demo.agents["ocr-bot"].exchange(demo.tokens["task"], "access_token", scope=READ_INVOICES)
        issued = expect(answer, 200, "hand on")
        demo.tokens["nested"] = issued["access_token"]
        check_chain(demo, issued["access_token"], "ocr-bot", "invoice-bot")
        expect(call(demo, ERP, issued["access_token"]), 200, "read as ocr-bot")
        wider = demo.agents["ocr-bot"].exchange(demo.tokens["task"], "access_token", scope=PAY_INVOICES)
        error = expect(wider, 400, "ask for more than was handed on")["error"]
        notes.append(claims_in_words(demo, issued["access_token"]))
        notes.append(f"asking for {PAY_INVOICES} is refused: {error}")


def meet_the_next_service(demo: Scenario) -> None:
    """Show that the ledger refuses the token of the ERP, and that the issuer exchanges none without a pair."""
    with demo.step("The ERP needs the ledger to answer, and has received a token for itself alone") as notes:
        received = demo.tokens["task"]
        refused = expect_reason(call(demo, LEDGER, received), 401, "audience")
        notes.append(f"the ledger refuses this token, which is not for it: {refused}")
        refused = expect_reason(call(demo, ERP, received, "/invoices/17/entry"), 403, "pair_not_allowed")
        notes.append(f"the issuer refuses to exchange it for one for the ledger: {refused}")


def go_on(demo: Scenario) -> None:
    """Register the pair; the ERP calls the ledger for Sam, as the next actor."""
    with demo.step("An administrator registers the pair of the ERP and the ledger") as notes:
        pair = {"from": ERP, "to": LEDGER, "scopes": {READ_INVOICES: [READ_ENTRIES]}}
        create(demo, "/resource-pairs", pair, "register the pair")
        notes.append(f"a token with {READ_INVOICES} for the ERP may be exchanged for {READ_ENTRIES} at the ledger")
    with demo.step("The ERP exchanges the token, and asks the ledger: for Sam, in the same task") as notes:
        answer = call(demo, ERP, demo.tokens["task"], "/invoices/17/entry")
        seen = expect(answer, 200, "let the ERP ask the ledger")
        demo.tokens["ledger"] = token_of_erp(demo)
        check_chain(demo, demo.tokens["ledger"], "erp-bot", "invoice-bot")
        if seen["for"] != demo.ids["sam"] or seen["txn"] != demo.txn or len(seen["by"]) != 2:
            raise StepError(f"the ledger saw another task: {json.dumps(seen)}")
        notes.append(claims_in_words(demo, demo.tokens["ledger"]))
        back = expect_reason(call(demo, ERP, demo.tokens["ledger"]), 401, "audience")
        notes.append(f"the ERP refuses this token, which is for the ledger alone: {back}")


def token_of_erp(demo: Scenario) -> str:
    """Return the token for the ledger that the ERP got last."""
    if demo.erp is None:
        raise AssertionError("the services run first")
    return demo.erp.tokens[-1]


def check_chain(demo: Scenario, token: str, *actors: str) -> None:
    """Check that a token is Sam's, of the task, and names all actors. Raises ``StepError``."""
    claims = claims_of(token)
    found = (claims["sub"], claims["txn"], chain_in(claims))
    if found != (demo.ids["sam"], demo.txn, [demo.ids[actor] for actor in actors]):
        raise StepError(f"the person, the task or the chain was lost: {json.dumps(claims)}")


def expect_reason(answer: Answer, status: int, reason: str) -> str:
    """Return for what reason a service refused, which is to be this one. Raises ``StepError``."""
    found = str(expect(answer, status, f"be refused for {reason}")["reason"])
    if reason not in found:
        raise StepError(f"expected the reason {reason}, got {found}")
    return reason


def sam_leaves(demo: Scenario) -> None:
    """Deactivate Sam; each service refuses all tokens that depend on Sam at once."""
    with demo.step("Entra sends active=False for Sam, and every token that rests on Sam ends") as notes:
        leave(demo, "sam")
        left_at = time.perf_counter()
        for whose, name, audience in (
            ("invoice-bot's token", "task", ERP),
            ("ocr-bot's token", "nested", ERP),
            ("erp-bot's token", "ledger", LEDGER),
        ):
            ended = expect_ended(demo, audience, demo.tokens[name], left_at)
            notes.append(f"{whose}, unexpired, is refused at {PLACES[audience]}: inactive, {ended}")
        error = expect(begin_task(demo, SAM), 400, "exchange for somebody who left")["error"]
        notes.append(f"a fresh ID token of Sam is refused in exchange: {error}")


def expect_ended(demo: Scenario, audience: str, token: str, ended_at: float) -> str:
    """Return how soon a service refuses a token that was ended. Raises ``StepError``."""
    expect_reason(call(demo, audience, token), 401, "inactive")
    return f"{(time.perf_counter() - ended_at) * 1000:.0f} ms later"


def leave(demo: Scenario, name: str) -> None:
    """Deactivate a person as Entra does: a string, not a boolean."""
    patch = entra_patch("Replace", "active", "False")
    expect(scim_of(demo).call("PATCH", f"/Users/{demo.ids[name]}", patch), 200, f"deactivate {name}")


def administrator_stops(demo: Scenario) -> None:
    """End a chain at both services with one call: cancel its task, or suspend an agent."""
    with demo.step("An administrator ends a chain at both services with one call, here for Dana") as notes:
        agent = f"/principals/{demo.ids['invoice-bot']}"
        for what, path in (("task cancel", "/tasks/{txn}/cancel"), ("agent suspend", f"{agent}/suspend")):
            task, crossed = begin_chain(demo, DANA)
            administer(demo, path.format(txn=claims_of(task)["txn"]), what)
            ended_at = time.perf_counter()
            first, second = expect_ended(demo, ERP, task, ended_at), expect_ended(demo, LEDGER, crossed, ended_at)
            notes.append(f"identity {what}: inactive at the ERP {first}, at the ledger {second}")
        administer(demo, f"{agent}/reactivate", "agent reactivate")


def begin_chain(demo: Scenario, person: str) -> tuple[str, str]:
    """Return a new task token for the ERP, and that for the ledger for which the ERP exchanged it; both are in use."""
    task: str = expect(begin_task(demo, person), 200, "exchange")["access_token"]
    expect(call(demo, ERP, task, "/invoices/17/entry"), 200, "let the ERP ask the ledger")
    return task, token_of_erp(demo)


def administer(demo: Scenario, path: str, what: str) -> None:
    """Let the administrator change one thing of the tenant."""
    answer = demo.admin.call("POST", f"/tenants/{demo.tenant}{path}", {"reason": "investigation"})
    expect(answer, 200, what)


def dana_leaves(demo: Scenario) -> None:
    """Deactivate the owner; the worker suspends the agents that have no owner any more."""
    with demo.step("Dana leaves: the agents have no owner any more, and the worker suspends them") as notes:
        leave(demo, "dana")
        left_at = time.perf_counter()
        wait_until(lambda: all(is_suspended(demo, agent) for agent in AGENTS))
        expect(begin_task(demo, SAM), 401, "use a suspended agent's key")
        spent_ms = (time.perf_counter() - left_at) * 1000
        notes.append(f"all three are suspended {spent_ms:.0f} ms later, and the key of invoice-bot is refused")


def is_suspended(demo: Scenario, agent: str) -> bool:
    """Return whether an agent is suspended now."""
    path = f"/tenants/{demo.tenant}/principals/{demo.ids[agent]}"
    return bool(expect(demo.admin.call("GET", path), 200, f"look at {agent}")["state"] == "suspended")


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds. Raises ``StepError`` when it does not in time."""
    deadline = time.monotonic() + CASCADE_WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise StepError(f"the worker did not suspend the agents within {CASCADE_WAIT_S:.0f} s; does one run?")
        time.sleep(0.02)


def show_audit_log(demo: Scenario) -> None:
    """Print the audit log of the task."""
    with demo.step("The audit log of Sam's task, by its txn"):
        path = f"/tenants/{demo.tenant}/events"
        events = expect(demo.admin.call("GET", path, txn=demo.txn), 200, "read the audit log")["items"]
        issued = [event["detail"]["audience"] for event in events if event["type"] == "token.issued"]
        if issued != [ERP, ERP, LEDGER]:
            raise StepError(f"the audit log should hold tokens for both services, not {issued}")
    demo.console.print(audit_tree(demo.txn, events, demo.names | PLACES))


def claims_in_words(demo: Scenario, token: str) -> str:
    """Return in one line for whom, by whom, where and what a token allows."""
    claims = claims_of(token)
    names = demo.names
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


STEPS = (act, hand_on, meet_the_next_service, go_on, sam_leaves, administrator_stops, dana_leaves, show_audit_log)
