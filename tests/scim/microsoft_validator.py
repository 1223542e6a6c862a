"""Microsoft's SCIM validator as a client: what it makes up, and how it asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.scim.sources import ENTERPRISE, GROUP, PATCH, USER, Source

ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"

Json = dict[str, Any]


def user(mark: str) -> Json:
    """Every attribute of the schemas, as the validator makes them up."""
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": f"external-{mark}",
        "userName": f"Christa_{mark}@Example.com",
        "active": True,
        "displayName": f"display-{mark}",
        "title": "title",
        "nickName": "nick",
        "userType": "type",
        "profileUrl": f"https://example.com/{mark}",
        "preferredLanguage": "en-US",
        "locale": "kk-KZ",
        "timezone": "Africa/Nairobi",
        "name": {"givenName": "Christa", "familyName": "Lind", "formatted": "Christa Lind", "middleName": "M",
                 "honorificPrefix": "Dr", "honorificSuffix": "III"},
        "emails": [{"type": "work", "value": f"work-{mark}@example.com", "primary": True}],
        "phoneNumbers": [{"type": kind, "value": f"{n}-555-0100"} for n, kind in enumerate(("work", "mobile", "fax"))],
        "addresses": [{"type": "work", "formatted": "f", "streetAddress": "s", "locality": "l", "region": "r",
                       "postalCode": "1", "country": "US", "primary": True}],
        "roles": [{"primary": "True", "display": "d", "value": "v", "type": "t"}],
        "meta": {"resourceType": "User"},
        ENTERPRISE: {"employeeNumber": "7", "department": "Sales", "costCenter": "c", "organization": "o",
                     "division": "d", "manager": None},
    }  # fmt: skip


def group(mark: str, *members: str) -> Json:
    return {
        "schemas": [GROUP, ADSCIM],
        "externalId": f"external-{mark}",
        "displayName": f"Group_{mark}",
        "meta": {"resourceType": "Group"},
    } | ({"members": [{"$ref": None, "value": member} for member in members]} if members else {})


@dataclass(slots=True)
class Validator:
    """One run, without or with the flag in every URL."""

    source: Source
    flag: bool

    @property
    def op(self) -> Callable[[str], str]:
        return str if self.flag else str.capitalize

    def path(self, path: str) -> str:
        if not self.flag:
            return path
        return f"{path}{'&' if '?' in path else '?'}aadOptscim062020"

    def create(self, endpoint: str, body: Json) -> Json:
        found: Json = self.source.post(self.path(f"/{endpoint}"), body)
        assert found["id"]
        return found

    def user(self) -> tuple[str, Json]:
        body = user(uuid4().hex[:8])
        body["roles"][0]["primary"] = True if self.flag else "True"
        return str(self.create("Users", body)["id"]), body

    def group(self, *members: str) -> tuple[str, Json]:
        body = group(uuid4().hex[:8], *members)
        return str(self.create("Groups", body)["id"]), body

    def get(self, path: str, status: int = 200) -> Any:
        return self.source.get(self.path(path), status)

    def filter(self, endpoint: str, text: str, more: str = "") -> list[Json]:
        found = self.get(f"/{endpoint}?filter={quote(text)}{more}")
        assert found["totalResults"] == len(found["Resources"])
        resources: list[Json] = found["Resources"]
        return resources

    def patch(self, path: str, *operations: Json) -> Json:
        sent = [{**one, "op": self.op(one["op"])} for one in operations]
        answer = self.source.ask("PATCH", self.path(path), {"schemas": [PATCH], "Operations": sent})
        assert answer.status_code in (200, 204), answer.text
        found: Json = self.get(path)
        return found

    def delete(self, path: str, status: int = 204) -> None:
        self.source.delete(self.path(path), status)


def operation(op: str, path: str | None = None, value: Any = None) -> Json:
    return {"op": op} | ({"path": path} if path else {}) | ({"value": value} if value is not None else {})
