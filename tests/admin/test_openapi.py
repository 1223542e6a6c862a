"""The OpenAPI document is valid and leaves nothing out."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from identity.admin.endpoints import OPERATIONS
from identity.admin.routes import NOTHING_HERE
from tests.admin.conftest import Admin


@pytest.fixture
def document(platform: Admin) -> Any:
    answer = platform.http.get("/admin/v1/openapi.json")  # anybody may read it
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return json.loads(answer.data)


def test_a_validator_accepts_it(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document, cls=OpenAPIV31SpecValidator)


def test_every_route_of_the_blueprint_is_in_it_and_nothing_else(document: Any, app: Flask) -> None:
    served = {
        (re.sub(r"<([a-z_]+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("admin.") and rule.endpoint != f"admin.{NOTHING_HERE}"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}  # which follow GET, in public documents
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert served == described
    assert len(served) == len(OPERATIONS)


def test_only_what_describes_the_api_is_open_to_everybody(document: Any) -> None:
    public = {path for path, methods in document["paths"].items() for one in methods.values() if "security" in one}
    assert public == {"/admin/v1/openapi.json", "/admin/v1/problems/{kind}"}


def test_every_body_refuses_what_it_does_not_know(document: Any) -> None:
    schemas = document["components"]["schemas"]
    bodies = {
        one["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        for methods in document["paths"].values()
        for one in methods.values()
        if "requestBody" in one
    }
    variants = {ref["$ref"].rsplit("/", 1)[1] for ref in schemas["NewConnection"]["oneOf"]}
    for name in bodies - {"NewConnection"} | variants:
        assert schemas[name]["additionalProperties"] is False, name


def test_what_a_suspension_keeps_and_a_reactivation_restores_is_described(document: Any) -> None:
    schemas, paths = document["components"]["schemas"], document["paths"]
    of_principal = "/admin/v1/tenants/{tenant}/principals/{principal_id}"
    asked = paths[f"{of_principal}/suspend"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert schemas[asked.rsplit("/", 1)[1]]["properties"]["credentials"]["default"] == "keep"
    assert schemas["Credentials"]["enum"] == ["keep", "revoke"]
    answered = paths[f"{of_principal}/reactivate"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert "restored" in schemas[answered["$ref"].rsplit("/", 1)[1]]["required"]
    assert schemas["Restored"]["required"] == ["clients", "delegations", "has_more_delegations"]


def test_the_type_of_a_problem_can_be_opened(platform: Admin) -> None:
    problem = platform.get("/tenants/nobody", 404)
    path = problem["type"].removeprefix("https://identity.example")
    opened = platform.http.get(path).json
    assert opened is not None
    assert (opened["type"], opened["status"]) == (problem["type"], 404)
    assert platform.http.get("/admin/v1/problems/strange").status_code == 404
