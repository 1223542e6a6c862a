"""Groups and people that a source pushes to a tenant, and agents that may act for the members of a group."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2

from identity.store.memberships import members_add, members_remove
from tests.fixtures import Tenant, let_act
from tests.oauth.test_promises import scim

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def values(*members: str) -> list[dict[str, str]]:
    return [{"value": member} for member in members]


@dataclass(frozen=True, slots=True)
class Directory:
    """What a source pushes to a tenant; Eve and Fred are two people of it."""

    tenant: Tenant
    eve: str
    fred: str

    def send(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        answer = scim(self.tenant, method, path, body)
        assert answer.status_code < 300, answer.text
        return answer

    def group(self, name: str, *members: str) -> str:
        body = {"schemas": [f"{CORE}Group"], "displayName": name, "members": values(*members)}
        id_: str = self.send("POST", "/Groups", body).json()["id"]
        return id_

    def nest(self, levels: int) -> list[str]:
        """Return groups of which each has the next as a member, and the last one Eve."""
        groups: list[str] = []
        for level in reversed(range(levels)):
            groups.insert(0, self.group(f"Level {level}", groups[0] if groups else self.eve))
        return groups

    def patch(self, group: str, *operations: dict[str, Any]) -> None:
        self.send("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": list(operations)})

    def put(self, group: str, name: str, *members: str) -> None:
        body = {"schemas": [f"{CORE}Group"], "displayName": name, "members": values(*members)}
        self.send("PUT", f"/Groups/{group}", body)

    def leave(self, group: str, member: str) -> None:
        self.patch(group, without(member))

    def join(self, group: str, member: str) -> None:
        self.patch(group, {"op": "add", "path": "members", "value": values(member)})

    def permit(self, group: str, agent: str = "invoice-bot") -> None:
        with self.tenant.tx() as tx:
            let_act(tx, self.tenant.agent(agent).id, UUID(group))

    def permit_for_eve(self, agent: str) -> None:
        with self.tenant.tx() as tx:
            let_act(tx, self.tenant.agent(agent).id, None, subject_id=UUID(self.eve))

    def token(self, agent: str = "invoice-bot", parent: str | None = None, person: str = "eve", **form: Any) -> str:
        return self.tenant.task_token(agent, parent, person=person, **form)

    def is_live(self, token: str) -> bool:
        return self.tenant.is_live(token)

    def last_reason(self) -> str | None:
        return self.tenant.last_event().event.reason


def without(member: str) -> dict[str, Any]:
    return {"op": "remove", "path": f'members[value eq "{member}"]'}


def directory_of(acme: Tenant) -> Directory:
    """Push both people to a tenant."""
    ids = []
    for name in ("eve", "fred"):
        body = {"schemas": [f"{CORE}User"], "userName": name, "externalId": f"ext-{name}", "active": True}
        ids.append(scim(acme, "POST", "/Users", body).json()["id"])
    return Directory(acme, *ids)


def leave_and_come_back(tenant: Tenant) -> None:
    """Take Sam out of Finance, and put him back."""
    with tenant.tx() as tx:
        assert members_remove(tx, tenant.seeded.finance, [tenant.seeded.sam]) == 1
    with tenant.tx() as tx:
        assert members_add(tx, tenant.seeded.finance, [tenant.seeded.sam], now=tenant.now) == 1
