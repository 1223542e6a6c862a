"""Sources, administrators and agents that ask all the time, and the book of what they were told was done."""

import base64
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import httpx2

from tests.faults.stage import Stage
from tests.fixtures import ADMIN_TOKEN, ERP, EXCHANGE, TYPE, Client, Seeded, access_token, directory_token
from tests.scim.sources import AGENT, PATCH, USER

T = TypeVar("T")

ANSWER_S_MAX = 15.0
PACE_S = 0.05
"""Between two requests of one thread: the machine must have time for what it is asked for."""

KINDS = ("create", "cut", "exchange", "introspect")
MAY_BE_REFUSED = (429, 503)  # with Retry-After


@dataclass
class Answers:
    """What everybody was answered."""

    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """Answers that nobody may get."""
    served: dict[str, float] = field(default_factory=dict)
    """By kind of request: when the last one that was done had begun, on the monotonic clock."""

    def note(self, kind: str, began: float, answer: httpx2.Response) -> bool:
        """Write an answer down; True when it was done."""
        self.statuses[str(answer.status_code)] += 1
        if answer.is_success:
            self.served[kind] = max(began, self.served.get(kind, 0.0))
            return True
        if answer.status_code not in MAY_BE_REFUSED or "Retry-After" not in answer.headers:
            self.faults.append(f"{kind}: {answer.status_code} {answer.headers} {answer.text[:500]}")
        return False

    def all_served_since(self, moment: float) -> bool:
        """Say whether each kind of request was done that had begun after a moment."""
        return all(self.served.get(kind, 0.0) > moment for kind in KINDS)


@dataclass
class Book:
    """What one tenant's callers were told was done."""

    users: list[UUID] = field(default_factory=list)
    agents: dict[UUID, UUID] = field(default_factory=dict)
    """An agent, and the person who owns it."""
    cuts: list[UUID] = field(default_factory=list)
    """Whoever is deprovisioned."""
    tokens: list[str] = field(default_factory=list)
    """Those that were issued for whoever left."""
    exchanges: int = 0
    live: list[str] = field(default_factory=list)
    """Tokens that were live after the answer to the cut of whom they stand for."""


@dataclass
class Callers:
    """All who ask one tenant, over connections of their own."""

    stage: Stage
    tenant: Seeded
    answers: Answers
    stopped: threading.Event
    numbers: Iterator[int]
    book: Book = field(default_factory=Book)

    def now(self) -> datetime:
        """What the web server takes for the time: an upstream issuer goes by the same."""
        return datetime.now(UTC) + timedelta(seconds=self.stage.shifts.get("web", 0.0))

    def create(self, http: httpx2.Client) -> None:
        """A source creates a user."""
        self._user(http, f"user-{next(self.numbers)}")

    def leave(self, http: httpx2.Client) -> None:
        """A person gets an agent and a token, and leaves: from then on the token is dead."""
        name = f"leaver-{next(self.numbers)}"
        person = self._user(http, name)
        token = None
        if person and self._agent(http, f"bot-of-{name}", person) and self._delegation(http, person):
            token = self._exchange(http, f"ext-{name}")
        if person and self._cut(http, person) and token is not None:
            self.book.tokens.append(token)
            if self._until_told(lambda: self._introspect(http, token)):
                self.book.live.append(token)

    def exchange(self, http: httpx2.Client) -> None:
        """An agent asks for a token for a person who stays."""
        self._exchange(http, "ext-sam")

    def introspect(self, http: httpx2.Client) -> None:
        """A resource server asks about a token, which may be none."""
        self._introspect(http, "no-token")

    def is_live(self, http: httpx2.Client, token: str) -> bool:
        """Say whether a token is live."""
        return bool(self._until_told(lambda: self._introspect(http, token)))

    def _ask(self, kind: str, http: httpx2.Client, method: str, path: str, **sent: Any) -> httpx2.Response | None:
        """Return the answer to what was done, None to what was not, or when there was none."""
        began = time.monotonic()
        try:
            answer = http.request(method, f"/t/{self.tenant.slug}{path}" if path[:2] != "/a" else path, **sent)
        except httpx2.TransportError as error:
            self.answers.statuses["none"] += 1
            if isinstance(error, httpx2.ReadTimeout):
                self.answers.faults.append(f"{kind}: no answer within {ANSWER_S_MAX:.0f} s")
            return None
        return answer if self.answers.note(kind, began, answer) else None

    def _scim(self, kind: str, http: httpx2.Client, method: str, path: str, body: Any) -> httpx2.Response | None:
        headers = {"Authorization": f"Bearer {directory_token(self.tenant.slug)}"}
        return self._ask(kind, http, method, f"/scim/v2{path}", json=body, headers=headers)

    def _user(self, http: httpx2.Client, name: str) -> UUID | None:
        body = {"schemas": [USER], "userName": name, "externalId": f"ext-{name}", "active": True}
        answer = self._scim("create", http, "POST", "/Users", body)
        if answer is None:
            return None
        self.book.users.append(UUID(answer.json()["id"]))
        return self.book.users[-1] if name.startswith("leaver") else None

    def _agent(self, http: httpx2.Client, name: str, owner: UUID) -> bool:
        body = {"schemas": [AGENT], "name": name, "owners": [{"value": str(owner)}]}
        answer = self._scim("agent", http, "POST", "/Agents", body)
        if answer is not None:
            self.book.agents[UUID(answer.json()["id"])] = owner
        return answer is not None

    def _delegation(self, http: httpx2.Client, person: UUID) -> bool:
        grant = {"actor_id": str(self.tenant.agents["ocr-bot"].id), "subject_id": str(person)}
        grant |= {"resource": ERP, "scopes": ["invoices.read"]}
        path = f"/admin/v1/tenants/{self.tenant.slug}/delegations"
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return self._ask("delegate", http, "POST", path, json=grant, headers=headers) is not None

    def _cut(self, http: httpx2.Client, person: UUID) -> bool:
        operation = {"op": "replace", "path": "active", "value": False}
        body = {"schemas": [PATCH], "Operations": [operation]}
        answer = self._until_told(lambda: self._scim("cut", http, "PATCH", f"/Users/{person}", body))
        if answer is not None:
            self.book.cuts.append(person)
        return answer is not None

    def _exchange(self, http: httpx2.Client, sub: str) -> str | None:
        form = {"grant_type": EXCHANGE, "resource": ERP, "subject_token_type": f"{TYPE}id_token"}
        form["subject_token"] = self.tenant.upstream.sign(self.now(), sub=sub)
        answer = self._token_service("exchange", http, "token", self.tenant.agents["ocr-bot"], form)
        if answer is None:
            return None
        self.book.exchanges += 1
        return access_token(answer)

    def _introspect(self, http: httpx2.Client, token: str) -> bool | None:
        answer = self._token_service("introspect", http, "introspect", self.tenant.erp, {"token": token})
        return None if answer is None else answer.json()["active"] is True

    def _token_service(
        self, kind: str, http: httpx2.Client, endpoint: str, client: Client, form: dict[str, str]
    ) -> httpx2.Response | None:
        proof = base64.b64encode(f"{client.client_id}:{client.secret}".encode()).decode()
        headers = {"Authorization": f"Basic {proof}"}
        return self._ask(kind, http, "POST", f"/oauth/{endpoint}", data=form, headers=headers)

    def _until_told(self, ask: Callable[[], T | None]) -> T | None:
        """Ask again until it is done, as a source does; None when the load has ended before."""
        while (told := ask()) is None and not self.stopped.wait(PACE_S):
            pass
        return told


@dataclass
class Load:
    """What is going on, and the book of it."""

    answers: Answers
    callers: list[Callers]
    stopped: threading.Event
    errors: list[BaseException] = field(default_factory=list)

    def total(self, count: Callable[[Book], int]) -> int:
        """Add up over all tenants."""
        return sum(count(each.book) for each in self.callers)

    def done(self) -> int:
        """How many requests were done."""
        return sum(count for status, count in self.answers.statuses.items() if status.startswith("2"))

    def has_cut_everywhere(self) -> bool:
        """Say whether somebody has left each tenant."""
        return all(each.book.cuts for each in self.callers)

    def has_done(self, count: int) -> bool:
        """Say whether that many were done."""
        return self.done() >= count


@contextmanager
def open_http(stage: Stage) -> Iterator[httpx2.Client]:
    """Connections to the web server."""
    with httpx2.Client(base_url=stage.base_url, trust_env=False, timeout=ANSWER_S_MAX) as http:
        yield http


@contextmanager
def loaded(stage: Stage) -> Iterator[Load]:
    """Let everybody ask while the block runs; afterwards nobody asks any more."""
    stopped, answers, numbers = threading.Event(), Answers(), itertools.count(1)
    callers = [Callers(stage, tenant, answers, stopped, numbers) for tenant in stage.tenants]
    load = Load(answers, callers, stopped)
    tasks = [task for each in callers for task in (each.create, each.leave)]
    tasks += [callers[0].exchange, callers[1].introspect, callers[0].leave]
    threads = [threading.Thread(target=partial(_repeat, load, stage, task)) for task in tasks]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert not load.errors, load.errors


def _repeat(load: Load, stage: Stage, task: Callable[[httpx2.Client], None]) -> None:
    try:
        with open_http(stage) as http:
            while not load.stopped.wait(PACE_S):
                task(http)
    except BaseException as error:
        load.errors.append(error)
