"""The race: nine ways to end something, against exchange, introspection and SCIM in processes of their own."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event
from uuid import UUID

import httpx2
import pytest

from tests.conftest import Server
from tests.fixtures import ADMIN_TOKEN, Agent, Tenant, TwoTenants, access_token, claims_in, employ, let_act
from tests.oauth.conftest import TemplateDatabase, copied
from tests.oauth.test_promises import OFF, another_process, scim

ROUNDS = int(os.environ.get("IDENTITY_PROVE_ROUNDS", "2"))
"""Of each of the nine kinds; 125 make more than a thousand."""

ASKERS = 3
BEFORE, AFTER = 4, 2  # answers that are waited for before the cut, and attempts of each asker after it
NUMBERS = itertools.count()
CORE = "urn:ietf:params:scim:schemas:core:2.0:"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Round:
    """A person, an agent that may act for the person, and one that it may hand on to."""

    here: Tenant
    there: Tenant
    person: str
    user_id: str
    group_id: str
    bot: Agent
    delegation: UUID
    parent: str
    attempts: list[tuple[float, int, str | None]] = field(default_factory=list)

    def ask(self) -> None:
        began = time.monotonic()
        answer = self.here.exchange(self.bot, self.parent)
        self.attempts.append((began, answer.status_code, answer.json().get("access_token")))

    def administrate(self, method: str, path: str) -> httpx2.Response:
        url = f"/admin/v1/tenants/{self.there.slug}{path}"
        body = {"reason": "test"} if method == "POST" else None
        return self.there.http.request(method, url, json=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})

    def leave(self) -> httpx2.Response:
        return self._patch_group({"op": "remove", "path": f'members[value eq "{self.user_id}"]'})

    def leave_and_come_back(self) -> httpx2.Response:
        left = self.leave()
        assert left.status_code < 300, left.text
        return self._patch_group({"op": "add", "path": "members", "value": [{"value": self.user_id}]})

    def _patch_group(self, operation: dict[str, object]) -> httpx2.Response:
        body = {"schemas": [PATCH], "Operations": [operation]}
        return scim(self.there, "PATCH", f"/Groups/{self.group_id}", body)


ENDINGS: dict[str, Callable[[Round], httpx2.Response]] = {
    "active=false": lambda it: scim(it.there, "PATCH", f"/Users/{it.user_id}", OFF),
    "DELETE": lambda it: scim(it.there, "DELETE", f"/Users/{it.user_id}"),
    "administrator deprovisions": lambda it: it.administrate("POST", f"/principals/{it.user_id}/deprovision"),
    "agent suspended": lambda it: it.administrate("POST", f"/principals/{it.bot.id}/suspend"),
    "delegation ended": lambda it: it.administrate("DELETE", f"/delegations/{it.delegation}"),
    "client revoked": lambda it: it.administrate("DELETE", f"/clients/{it.bot.client_id}"),
    "task cancelled": lambda it: it.administrate("POST", f"/tasks/{claims_in(it.parent)['txn']}/cancel"),
    "removed from the group": lambda it: it.leave(),
    "removed from the group and put back": lambda it: it.leave_and_come_back(),
}


def begin(two_tenants: TwoTenants, here: Tenant, there: Tenant) -> Round:
    acme, number = two_tenants.acme, next(NUMBERS)
    person = f"racer{number}"
    user = {"schemas": [f"{CORE}User"], "userName": person, "externalId": f"ext-{person}", "active": True}
    user_id = scim(there, "POST", "/Users", user).json()["id"]
    group = {"schemas": [f"{CORE}Group"], "displayName": f"Racers {number}", "members": [{"value": user_id}]}
    group_id = scim(there, "POST", "/Groups", group).json()["id"]
    with acme.tx() as tx:
        bot = employ(tx, f"racing-bot{number}", acme.seeded.dana)
        first = employ(tx, f"first-bot{number}", acme.seeded.dana)
        let_act(tx, first.id, UUID(group_id))
        delegation = let_act(tx, bot.id, UUID(group_id))
    parent = access_token(here.exchange(first, person=person))
    return Round(here, there, person, user_id, group_id, bot, delegation, parent)


def race(it: Round, ending: Callable[[Round], httpx2.Response]) -> tuple[float, int]:
    """Ask without pause, end it, ask on; return when the answer to the end had come, and how many tokens there were."""
    ended = Event()

    def ask() -> None:
        after = 0
        while after < AFTER:
            after += ended.is_set()
            it.ask()

    with ThreadPoolExecutor(ASKERS) as threads:
        asking = [threads.submit(ask) for _ in range(ASKERS)]
        while sum(status == 200 for _, status, _ in it.attempts) < BEFORE:
            assert not any(each.done() for each in asking)
        began = time.monotonic()
        answer = ending(it)
        done, issued = time.monotonic(), tokens_of(it)
        ended.set()
        for each in asking:
            each.result()
    assert answer.status_code < 300, answer.text
    assert done - began < 1.5, "a cut is not held up"
    return done, issued


def tokens_of(it: Round) -> int:
    return int(it.here.sql("SELECT count(*) FROM tokens WHERE tenant_id = :tenant AND subject_id = :id",
                           id=it.user_id)[0][0])  # fmt: skip


@pytest.fixture(scope="module")
def racing(server: Server, template_db: TemplateDatabase) -> Iterator[tuple[TwoTenants, Tenant, Tenant]]:
    """A copy of both tenants, and acme as two processes serve it; each round has people and agents of its own."""
    with copied(server, template_db) as runtime:
        two_tenants = template_db.web.two_tenants(runtime, template_db.seeded)
        with another_process(two_tenants) as (_, here), another_process(two_tenants) as (_, there):
            yield two_tenants, replace(two_tenants.acme, http=here), replace(two_tenants.acme, http=there)


@pytest.mark.promise(1)
@pytest.mark.timeout(60 + 30 * ROUNDS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_after_the_2xx_nothing_is_accepted_and_no_token_is_committed(
    racing: tuple[TwoTenants, Tenant, Tenant], ending: str
) -> None:
    two_tenants, here, there = racing
    for _ in range(ROUNDS):
        it = begin(two_tenants, here, there)
        done, issued = race(it, ENDINGS[ending])
        assert {status for began, status, _ in it.attempts if began > done} <= {400, 401}
        assert tokens_of(it) == issued, "committed after the cut"
        tokens = [token for _, _, token in it.attempts if token]
        assert not any(there.is_live(token) for token in tokens)


@pytest.mark.promise(1)
@pytest.mark.parametrize("ending", ["administrator deprovisions", "agent suspended", "delegation ended"])
def test_sixteen_clients_of_a_web_process_that_is_stopped_hold_up_no_cut(two_tenants: TwoTenants, ending: str) -> None:
    with another_process(two_tenants) as (stopped, http_here), another_process(two_tenants) as (_, http_there):
        it = begin(two_tenants, replace(two_tenants.acme, http=http_here), replace(two_tenants.acme, http=http_there))

        def ask() -> None:
            with suppress(httpx2.HTTPError):
                while True:
                    it.ask()

        with ThreadPoolExecutor(16) as threads:
            for _ in range(16):
                threads.submit(ask)
            while sum(status == 200 for _, status, _ in it.attempts) < 2 * 16:
                pass
            stopped.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            answer = ENDINGS[ending](it)
            took = time.monotonic() - began
            stopped.kill()
        assert (answer.status_code < 300, took < 1.5) == (True, True), (answer.text, took)
        assert not any(it.there.is_live(token) for _, _, token in it.attempts if token)
