"""Sources that speak SCIM to a tenant, and a count of what they cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.actions.connections import create_scim_connection
from identity.actions.tenants import create_tenant
from identity.edge.runtime import Runtime
from identity.model.access import Caller, CallerKind
from identity.model.connection import Dialect
from identity.model.ids import TenantId
from identity.store.transaction import transaction

BASE_URL = "https://identity.example"
ADMINISTRATOR = Caller(CallerKind.ADMINISTRATOR, "tests", "request-of-tests")

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
AGENT = "urn:ietf:params:scim:schemas:core:2.0:Agent"
SERVICE_ACCOUNT = "urn:identity-foundation:scim:schemas:core:2.0:ServiceAccount"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(slots=True)
class Clock:
    """A clock that each look moves by a millisecond."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 24, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


@dataclass(frozen=True, slots=True)
class Source:
    """One connection of one tenant."""

    http: FlaskClient
    tenant: str
    token: str
    tenant_id: TenantId

    def url(self, path: str) -> str:
        return f"/t/{self.tenant}/scim/v2{path}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | str | None) else json.dumps(body)
        return self.http.open(self.url(path), method=method, data=data, headers=sent)

    def answer(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        response = self.ask(method, path, body, **headers)
        assert response.status_code == status, (response.status_code, response.text)
        if status in (204, 304):
            assert response.data == b""
            return None
        assert response.content_type == "application/scim+json"
        return json.loads(response.data)

    def get(self, path: str, status: int = 200) -> Any:
        return self.answer("GET", path, status=status)

    def post(self, path: str, body: Any, status: int = 201) -> Any:
        return self.answer("POST", path, body, status=status)

    def put(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        return self.answer("PUT", path, body, status=status, **headers)

    def patch(self, path: str, *operations: Any, status: int = 200, **headers: str) -> Any:
        body = {"schemas": [PATCH], "Operations": list(operations)}
        return self.answer("PATCH", path, body, status=status, **headers)

    def delete(self, path: str, status: int = 204, **headers: str) -> Any:
        return self.answer("DELETE", path, status=status, **headers)

    def user(self, user_name: str, **more: Any) -> str:
        """Create a user; return its id."""
        created: str = self.post("/Users", {"schemas": [USER], "userName": user_name, **more})["id"]
        return created

    def group(self, display_name: str, *members: str, **more: Any) -> str:
        """Create a group; return its id."""
        links = {"members": [{"value": member} for member in members]} if members else {}
        created: str = self.post("/Groups", {"schemas": [GROUP], "displayName": display_name, **links, **more})["id"]
        return created

    def members(self, group_id: str) -> set[str]:
        """Return the ids of a group's members."""
        return {member["value"] for member in self.get(f"/Groups/{group_id}").get("members", [])}


class Sources:
    """Make tenants and their sources, or find those that the database began with."""

    def __init__(self, app: Flask, runtime: Runtime, tenants: Mapping[str, TenantId] | None = None) -> None:
        self.app, self.runtime = app, runtime
        self.tenants: dict[str, TenantId] = dict(tenants or {})

    def tenant(self, slug: str) -> TenantId:
        if slug not in self.tenants:
            with transaction(self.runtime.engine, TenantId(uuid4())) as tx:
                made = create_tenant(
                    tx,
                    slug=slug,
                    display_name=slug,
                    encryption=self.runtime.encryption,
                    caller=ADMINISTRATOR,
                    now=self.runtime.clock(),
                )
            self.tenants[slug] = made.id
        return self.tenants[slug]

    def make(self, slug: str, dialect: str, name: str = "source") -> Source:
        tenant_id, source = self.tenant(slug), self.find(slug, dialect, name)
        with transaction(self.runtime.engine, tenant_id) as tx:
            create_scim_connection(
                tx,
                name=name,
                dialect=Dialect(dialect),
                token=source.token,
                caller=ADMINISTRATOR,
                now=self.runtime.clock(),
            )
        return source

    def find(self, slug: str, dialect: str, name: str = "source") -> Source:
        """Return a source that was made."""
        token = f"token-of-{slug}-{dialect}-{name}-0123456789"
        return Source(self.app.test_client(), slug, token, self.tenants[slug])
