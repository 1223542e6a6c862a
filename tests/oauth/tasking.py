"""Agents before the tasks API of a tenant, each with its own token."""

from typing import Any

import httpx2

from tests.fixtures import ERP, TYPE, Client, Tenant, access_token

ID_TOKEN, ACCESS_TOKEN = f"{TYPE}id_token", f"{TYPE}access_token"
PURPOSE = "pay the invoices of November"


def ask(
    tenant: Tenant, method: str, path: str = "", body: Any = None, *, agent: str | Client = "invoice-bot", **more: Any
) -> httpx2.Response:
    """Ask the tasks API as an agent, by the token that it gets for itself; ``token`` is another one."""
    token = more.pop("token", None) or bearer(tenant, agent)
    headers = {"Authorization": f"Bearer {token}"} | more.pop("headers", {})
    return tenant.http.request(method, f"/t/{tenant.slug}/tasks{path}", json=body, headers=headers, **more)


def bearer(tenant: Tenant, agent: str | Client) -> str:
    client = tenant.agent(agent) if isinstance(agent, str) else agent
    return access_token(tenant.ask(client, grant_type="client_credentials"))


def person(tenant: Tenant, name: str = "sam") -> dict[str, str]:
    """The members by which a body presents a person's own token."""
    return {"subject_token": tenant.id_token(sub=f"ext-{name}"), "subject_token_type": ID_TOKEN}


def wanted(tenant: Tenant, **changed: Any) -> dict[str, Any]:
    """A body that opens a task for Sam at the ERP, but for what is changed; ``...`` leaves a member out."""
    right = {"purpose": PURPOSE, "authority": [{"resource": ERP}]} | person(tenant) | changed
    return {name: value for name, value in right.items() if value is not ...}


def open_task(tenant: Tenant, *, agent: str | Client = "invoice-bot", **changed: Any) -> dict[str, Any]:
    """Open a task, which is answered."""
    answer = ask(tenant, "POST", body=wanted(tenant, **changed), agent=agent)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def refusal(answer: httpx2.Response) -> tuple[int, str, str]:
    """Status, error, and the reason in brackets."""
    document = answer.json()
    return answer.status_code, document["error"], document["error_description"].rpartition("(")[2].rstrip(")")
