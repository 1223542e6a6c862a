"""What developers of agents ask for in public, tried in processes as anybody runs them, in each of two tenants."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from identity_verifier import Rule, VerificationError, Verifier

from dev.demo.api import Api
from scim.patch.request import PATCH_SCHEMA
from tests.conformance.stage import ACCESS_TOKEN, ADMIN_TOKEN, EXCHANGE, ID_TOKEN, Party, Registered
from tests.fixtures import actors_in, claims_in

READ, LOOK = "orders.read", "entries.look"
AGENT = "urn:ietf:params:scim:schemas:core:2.0:Agent"


@dataclass(frozen=True, slots=True)
class Service:
    """A resource server that is an agent too: one client with both."""

    audience: str
    bot_id: str
    client: Registered


@dataclass(frozen=True, slots=True)
class Field:
    """A tenant with two services of its own: an agent acts for Sam at both, and the first service at the second."""

    party: Party
    admin: Api
    bot_id: str
    bot: Registered
    orders: Service
    ledger: Service
    group_id: str

    def ask(self, client: Registered, **form: Any) -> httpx2.Response:
        auth = (client.client_id, client.secret or "")
        return self.admin.client.post(
            f"{self.party.issuer}/oauth/token", data={"grant_type": EXCHANGE} | form, auth=auth
        )

    def begin(self, service: Service, **form: Any) -> httpx2.Response:
        """The agent exchanges Sam's ID token for a token for a service."""
        subject = {"subject_token": self.party.id_token("sam"), "subject_token_type": ID_TOKEN}
        return self.ask(self.bot, **subject, resource=service.audience, **form)

    def trade(self, client: Registered, token: str, **form: Any) -> httpx2.Response:
        return self.ask(client, subject_token=token, subject_token_type=ACCESS_TOKEN, **form)

    def is_live(self, token: str, service: Service) -> bool:
        auth = (service.client.client_id, service.client.secret or "")
        answer = self.admin.client.post(f"{self.party.issuer}/oauth/introspect", data={"token": token}, auth=auth)
        return bool(answer.json()["active"])

    def do(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.admin.call(method, path, body)
        assert answer.status < 300, (path, answer)
        return answer.body


def token_in(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


def reason_in(answer: httpx2.Response) -> str:
    assert answer.status_code == 400, answer.text
    text: str = answer.json()["error_description"]
    return text.rpartition("(")[2].rstrip(")")


@pytest.fixture(params=["acme", "rival"])
def field(request: pytest.FixtureRequest, parties: dict[str, Party]) -> Iterator[Field]:
    party = parties[request.param]
    base, _, slug = party.issuer.rpartition("/t/")
    admin = Api(party.scim.client, f"{base}/admin/v1/tenants/{slug}", ADMIN_TOKEN)
    mark = uuid4().hex[:8]
    sam = {"value": party.ids["sam"]}
    group = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": f"Buyers {mark}",
        "members": [sam],
    }
    group_id = made(party.scim, "/Groups", group)["id"]
    bot_id = agent(party, f"bot-{mark}")
    orders, ledger = (
        service(party, admin, f"{name}-{mark}", scope) for name, scope in (("orders", READ), ("ledger", LOOK))
    )
    for actor, at, scope, lifetime_s in (
        (bot_id, orders, READ, 120), (bot_id, ledger, LOOK, 120), (orders.bot_id, ledger, LOOK, 2)
    ):  # fmt: skip
        made(admin, "/delegations", {"actor_id": actor, "subject_group_id": group_id, "resource": at.audience,
                                     "scopes": [scope], "max_lifetime_s": lifetime_s, "max_depth": 3})  # fmt: skip
    bot = client(admin, principal_id=bot_id)
    yield Field(party, admin, bot_id, bot, orders, ledger, group_id)


def made(api: Api, path: str, body: dict[str, Any]) -> Any:
    answer = api.call("POST", path, body)
    assert answer.status == 201, (path, answer)
    return answer.body


def agent(party: Party, name: str) -> str:
    owners = [{"value": party.ids["dana"]}]
    body = {"schemas": [AGENT], "agentUserName": name, "active": True, "owners": owners}
    return str(made(party.scim, "/Agents", body)["id"])


def client(admin: Api, **of: str) -> Registered:
    found = made(admin, "/clients", {"token_endpoint_auth_method": "client_secret_basic"} | of)
    return Registered(found["client_id"], secret=found["client_secret"])


def service(party: Party, admin: Api, name: str, scope: str) -> Service:
    audience, bot_id = f"https://{name}.example", agent(party, name)
    made(admin, "/resources", {"audience": audience, "scopes": [scope], "principal_id": bot_id})
    return Service(audience, bot_id, client(admin, principal_id=bot_id, audience=audience))


def pair(field: Field) -> None:
    made(field.admin, "/resource-pairs", {"from": field.orders.audience, "to": field.ledger.audience,
                                          "scopes": {READ: [LOOK]}})  # fmt: skip


def outlived(token: str) -> None:
    """Wait until a token has expired: the processes have the machine's clock."""
    while time.time() < claims_in(token)["exp"]:
        time.sleep(0.05)


def crossed(field: Field) -> tuple[str, str]:
    """A token for the first service, and the one for the second that it was traded for."""
    pair(field)
    first = token_in(field.begin(field.orders))
    return first, token_in(field.trade(field.orders.client, first, resource=field.ledger.audience))


# --- the next audience ---


def test_a_service_gets_a_token_for_the_next_service_for_the_same_person(field: Field) -> None:
    first, second = crossed(field)
    assert claims_in(second)["aud"] == field.ledger.audience
    assert actors_in(second) == [field.orders.bot_id, field.bot_id]
    assert [claims_in(second)[name] for name in ("sub", "txn")] == [claims_in(first)[name] for name in ("sub", "txn")]
    assert field.is_live(second, field.ledger)


def test_a_token_that_is_passed_through_is_refused_by_the_next_service(field: Field) -> None:
    first = token_in(field.begin(field.orders))
    ledger = Verifier(field.party.issuer, field.ledger.audience, allow_plain_http=True)
    with pytest.raises(VerificationError) as refused:
        ledger.verify(first)
    assert refused.value.rule is Rule.AUDIENCE
    assert not field.is_live(first, field.ledger)


def test_without_a_registered_pair_no_service_goes_on(field: Field) -> None:
    first = token_in(field.begin(field.orders))
    assert reason_in(field.trade(field.orders.client, first, resource=field.ledger.audience)) == "pair_not_allowed"


def test_an_agent_takes_no_token_of_a_service_on_in_its_stead(field: Field) -> None:
    pair(field)
    first = token_in(field.begin(field.orders))
    assert reason_in(field.trade(field.bot, first, resource=field.ledger.audience)) == "audience_differs"


# --- work that waits ---


def test_work_that_waited_longer_than_its_token_lives_goes_on(field: Field) -> None:
    _, second = crossed(field)
    outlived(second)
    assert not field.is_live(second, field.ledger)
    again = token_in(field.trade(field.orders.client, second, renew="true"))
    assert actors_in(again) == actors_in(second)
    assert field.is_live(again, field.ledger)


def test_work_that_was_cancelled_while_it_waited_does_not(field: Field) -> None:
    _, second = crossed(field)
    field.do("POST", f"/tasks/{claims_in(second)['txn']}/cancel", {"reason": "no longer wanted"})
    outlived(second)
    assert reason_in(field.trade(field.orders.client, second, renew="true")) == "subject_token_task_ended"


# --- one piece of work, one task ---


def test_two_resources_are_one_task_in_the_audit_log_and_end_with_one_call(field: Field) -> None:
    first = token_in(field.begin(field.orders))
    txn = claims_in(first)["txn"]
    second = token_in(field.begin(field.ledger, txn=txn))
    issued = [event["detail"]["audience"] for event in field.do("GET", f"/events?txn={txn}")["items"]]
    assert issued == [field.orders.audience, field.ledger.audience]
    field.do("POST", f"/tasks/{txn}/cancel", {"reason": "test"})
    assert not field.is_live(first, field.orders)
    assert not field.is_live(second, field.ledger)


# --- stop, look, go on ---


def test_a_hold_stops_an_agent_and_gives_it_back_as_it_was(field: Field) -> None:
    before = token_in(field.begin(field.orders))
    field.do("POST", f"/principals/{field.bot_id}/suspend", {"reason": "a look at it"})
    assert not field.is_live(before, field.orders)
    assert field.begin(field.orders).status_code in (400, 401)
    field.do("POST", f"/principals/{field.bot_id}/reactivate", {"reason": "it was nothing"})
    assert field.is_live(token_in(field.begin(field.orders)), field.orders)
    assert not field.is_live(before, field.orders)


def test_a_hold_that_revokes_gives_back_an_agent_without_credentials(field: Field) -> None:
    field.do("POST", f"/principals/{field.bot_id}/suspend", {"reason": "it was stolen", "credentials": "revoke"})
    field.do("POST", f"/principals/{field.bot_id}/reactivate", {"reason": "it has new keys"})
    assert field.begin(field.orders).status_code == 401


# --- who left a group ---


def test_who_left_the_group_and_came_back_gets_new_tokens_and_no_old_one_back(field: Field) -> None:
    before = token_in(field.begin(field.orders))
    sam = field.party.ids["sam"]
    for operation in ({"op": "remove", "path": f'members[value eq "{sam}"]'},
                      {"op": "add", "path": "members", "value": [{"value": sam}]}):  # fmt: skip
        answer = field.party.scim.call(
            "PATCH", f"/Groups/{field.group_id}", {"schemas": [PATCH_SCHEMA], "Operations": [operation]}
        )
        assert answer.status in (200, 204)
        assert not field.is_live(before, field.orders)
    assert field.is_live(token_in(field.begin(field.orders)), field.orders)
