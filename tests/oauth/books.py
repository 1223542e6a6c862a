"""A resource of its own for tests of authority: the example service as a resource server of a tenant's issuer."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from examples.erp.erp import create_app
from tests.fixtures import ADMIN_TOKEN, Tenant

BOOKS = "https://books.example"
READ, PAY, LIST = "invoices.read", "invoices.pay", "invoices.list"
ACCESS, STATEMENT, TRANSFER = "task_resource_access", "statement", "transfer"
RESTRICTIONS: Mapping[str, list[str]] = {ACCESS: [READ, PAY], STATEMENT: [READ]}
"""Types to the scopes that they restrict. No type restricts the scope LIST, and the type TRANSFER stands alone."""


def administer(tenant: Tenant, path: str, body: object, *, status: int = 201) -> Any:
    """POST to the admin API of a tenant, and return what was made."""
    answer = tenant.http.post(
        f"/admin/v1/tenants/{tenant.slug}{path}", json=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def register_books(tenant: Tenant) -> None:
    """Register the resource with its scopes and types."""
    types = [TRANSFER, *({"type": type_, "scopes": scopes} for type_, scopes in RESTRICTIONS.items())]
    administer(
        tenant,
        "/resources",
        {"audience": BOOKS, "scopes": [READ, PAY, LIST], "authorization_details_types": types},
    )


def delegate(tenant: Tenant, agent: str, *, depth: int = 4, **more: Any) -> dict[str, Any]:
    """Let an agent act at the resource; for the members of Finance, where no subject is named."""
    subject = {} if "subject_id" in more else {"subject_group_id": str(tenant.seeded.finance)}
    body = {"actor_id": str(tenant.agent(agent).id), "resource": BOOKS, "max_depth": depth} | subject | more
    made: dict[str, Any] = administer(tenant, "/delegations", body)
    return made


def books(tenant: Tenant) -> FlaskClient:
    """The example service, which verifies the tenant's tokens offline."""

    def fetch(url: str) -> bytes:
        return tenant.http.get(urlsplit(url).path).content

    return create_app(tenant.issuer, BOOKS, fetch=fetch, clock=tenant.runtime.clock).test_client()
