"""The cases, and their requests, which are made before they are measured."""

import base64
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, cycle, islice
from urllib.parse import quote
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

from benchmarks.directory import ERP, USER, Directory, user_document
from benchmarks.request import Request, form, scim

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SUBJECTS = 200  # people whose ID tokens are signed beforehand
LIVE_TOKENS = 50
PAGE = 100


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request. ``requests(n)`` returns n of them that were never sent before."""

    name: str
    status: int
    requests: Callable[[int], Iterable[Request]]


def cases_of(directory: Directory, base_url: str) -> list[Case]:
    """Return every case, in the order in which they are shown."""
    made = CaseRequests(directory, base_url)
    return [
        Case("token exchange", 200, made.exchange),
        Case("introspection", 200, made.introspection),
        Case("SCIM create", 201, made.create),
        Case("SCIM get", 200, made.get),
        Case("SCIM filter userName eq", 200, made.find),
        Case("SCIM PATCH", 200, made.patch),
        Case("SCIM list of 100", 200, made.page),
    ]


class CaseRequests:
    """Requests about one directory; their people are drawn with a fixed seed."""

    def __init__(self, directory: Directory, base_url: str) -> None:
        self._of, self._base_url = directory, base_url
        self._oauth, self._scim = f"/t/{directory.slug}/oauth", f"/t/{directory.slug}/scim/v2"
        self._draw, self._numbers = random.Random(17), count()
        subjects = [self._draw.randrange(len(directory.users)) for _ in range(SUBJECTS)]
        self._id_tokens = cycle([directory.id_token(number) for number in subjects])

    def exchange(self, wanted: int) -> Iterator[Request]:
        """An ID token for a task token, by an agent that signs a fresh assertion."""
        for id_token in islice(self._id_tokens, wanted):
            parameters = {
                "grant_type": EXCHANGE,
                "subject_token": id_token,
                "subject_token_type": ID_TOKEN,
                "resource": ERP,
                "scope": "invoices.read",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._of.assertion(),
            }
            yield form(f"{self._oauth}/token", parameters)

    def introspection(self, wanted: int) -> Iterator[Request]:
        """A live task token, looked at by the resource server that it is for."""
        tokens = cycle([self._task_token(request) for request in self.exchange(min(LIVE_TOKENS, wanted))])
        secret = base64.b64encode(f"{self._of.erp_client_id}:{self._of.erp_secret}".encode()).decode()
        for token in islice(tokens, wanted):
            yield form(f"{self._oauth}/introspect", {"token": token}, Authorization=f"Basic {secret}")

    def _task_token(self, request: Request) -> str:
        sent = UrlRequest(self._base_url + request.path, data=request.body, headers=request.headers)
        with urlopen(sent, timeout=10) as answer:
            token: str = json.load(answer)["access_token"]
            return token

    def create(self, wanted: int) -> Iterator[Request]:
        """A user who was not there."""
        for number in islice(self._numbers, wanted):
            body = {"schemas": [USER], **user_document(f"new-{number}")}
            yield scim("POST", f"{self._scim}/Users", self._of.scim_token, body)

    def get(self, wanted: int) -> Iterator[Request]:
        """A user by id."""
        for user_id in self._draw.choices(self._of.users, k=wanted):
            yield scim("GET", f"{self._scim}/Users/{user_id}", self._of.scim_token)

    def find(self, wanted: int) -> Iterator[Request]:
        """A user by name, as identity providers look before they create."""
        for _ in range(wanted):
            name = f"user-{self._draw.randrange(len(self._of.users))}@example.com"
            query = quote(f'userName eq "{name}"')
            yield scim("GET", f"{self._scim}/Users?filter={query}", self._of.scim_token)

    def patch(self, wanted: int) -> Iterator[Request]:
        """A new title for a user: something is written every time."""
        for user_id in self._draw.choices(self._of.users, k=wanted):
            change = {"op": "replace", "path": "title", "value": f"Clerk {next(self._numbers)}"}
            body = {"schemas": [PATCH_OP], "Operations": [change]}
            yield scim("PATCH", f"{self._scim}/Users/{user_id}", self._of.scim_token, body)

    def page(self, wanted: int) -> Iterator[Request]:
        """A page from anywhere in the directory."""
        last = max(1, len(self._of.users) - PAGE)
        for _ in range(wanted):
            path = f"{self._scim}/Users?startIndex={self._draw.randint(1, last)}&count={PAGE}"
            yield scim("GET", path, self._of.scim_token)
