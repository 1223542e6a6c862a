"""What is wrong with a request is said in our words, whatever was sent."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from identity.admin import routes
from identity.admin.endpoints import OPERATIONS
from identity.admin.sentences import PHRASES, phrase_of
from identity.model.connection import Dialect
from tests.admin.conftest import Admin

VALIDATORS_WORDS = re.compile(r"Input|should|[Ff]ield|permitted|valid |instance|pydantic|<|found `")
SENTENCE = re.compile(r"\S.* (?:is|must) .+[^.]")
HOSTILE: tuple[Any, ...] = (
    None, True, 1, -1, 10**30, "9" * 5_000, 1.5, "", "x", " x", "a\tb", "x" * 5_000, "2026-11-30",
    "2026-11-30T10:00:00", "2026-13-40T10:00:00Z", [], {}, [None], [{}], [[]], ["x" * 200], ["x"] * 100,
    {"x": 1}, [1], {"type": "x"}, [{"type": "x", "scopes": []}], [{"type": 1, "scopes": "x"}],
    "18446744073709551616", "0x10", "1_0",
)  # fmt: skip


def models() -> Iterator[tuple[type[BaseModel], bool]]:
    """Yield what operations read, and whether it is a query."""
    assert routes.NOUNS
    for declared in OPERATIONS:
        yield from ((model, is_query) for model, is_query in ((declared.body, False), (declared.query, True)) if model)


def documents(model: type[BaseModel]) -> Iterator[Any]:
    """Yield documents with one odd member each, and some that are odd themselves."""
    yield from ({}, [], "x", 1, None, {"unknown": 1}, {"kind": "x"}, {"kind": 1})
    schema = model.model_json_schema()
    variants = [schema, *schema.get("$defs", {}).values()]
    members = {name for variant in variants for name in variant.get("properties", {})}
    for name in members - {"kind"}:
        for value in HOSTILE:
            yield {name: value}
            yield from ({"kind": kind, name: value} for kind in ("scim", "oidc") if "kind" in members)


def faults_of(model: type[BaseModel], document: Any, *, is_query: bool) -> list[Any]:
    try:
        if is_query:
            if isinstance(document, dict):
                model.model_validate_strings({name: str(value) for name, value in document.items()})
        else:
            model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        return list(error.errors(include_input=False))
    return []


def test_every_kind_of_fault_that_an_operation_can_find_has_a_phrase_of_ours() -> None:
    found = {
        fault["type"]: fault
        for model, is_query in models()
        for document in documents(model)
        for fault in faults_of(model, document, is_query=is_query)
    }
    assert len(found) > 20
    assert found.keys() - PHRASES.keys() - {"value_error"} == set()
    for fault in found.values():
        sentence = f"member {phrase_of(fault, 'member')}"
        assert SENTENCE.fullmatch(sentence), sentence
        assert not VALIDATORS_WORDS.search(sentence), sentence


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"kind": "scim"}, {"/name": "name is required"}),
        ({"name": "x"}, {"/kind": "kind is required"}),
        ({"kind": "ldap", "name": "x"}, {"/kind": "kind must be one of scim, oidc"}),
        ({"kind": "scim", "name": ""}, {"/name": "name must not be empty"}),
        ({"kind": "scim", "name": "x" * 201}, {"/name": "name must have at most 200 characters"}),
        ({"kind": "scim", "name": " x"},
         {"/name": "name must not hold control characters, nor begin or end with a space"}),
        ({"kind": "scim", "name": 7}, {"/name": "name must be a string"}),
        ({"kind": "scim", "name": "x", "issuer": "y"}, {"/issuer": "issuer is not known here"}),
        ({"kind": "scim", "name": "x", "dialect": "ldap"},
         {"/dialect": f"dialect must be one of {', '.join(Dialect)}"}),
    ],
)  # fmt: skip
def test_a_fault_of_a_body_is_a_sentence(acme: Admin, body: dict[str, Any], faults: dict[str, str]) -> None:
    problem = acme.post("/connections", body, 400)
    assert {fault["pointer"]: fault["detail"] for fault in problem["errors"]} == faults
    assert problem["detail"] in faults.values()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("/events?txn=TASK_ID", "txn must be a task id (UUID)"),
        ("/events?principal=sam", "principal must be an id (UUID)"),
        ("/events?limit=201", "limit must be at most 200"),
        ("/events?limit=x", "limit must be a whole number"),
        ("/events?verbose=1", "verbose is not known here"),
        ("/principals?kind=robot", "kind must be one of user, group, agent, service_account"),
        ("/principals?state=deleted", "state must be one of active, suspended, deprovisioned"),
        ("/principals?ids=", "ids must be an id (UUID)"),
        ("/delegations?active=yes", "active must be true"),
    ],
)
def test_a_fault_of_a_query_is_a_sentence(acme: Admin, query: str, said: str) -> None:
    problem = acme.get(query, 400)
    assert (problem["detail"], problem["errors"][0]["detail"]) == (said, said)


def test_a_nested_fault_is_named_as_people_write_it(acme: Admin) -> None:
    types = [{"type": "x", "scopes": [1]}]
    problem = acme.post("/resources", {"audience": "https://a", "authorization_details_types": types}, 400)
    said = "authorization_details_types[0].scopes[0] must be a string"
    assert problem["errors"] == [{"pointer": "/authorization_details_types/0/scopes/0", "detail": said}]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/connections/entra", "there is no connection with the id 'entra'"),
        ("/tasks/x", "there is no task with the id 'x'"),
        ("/principals/" + "x" * 100, f"there is no principal with the id '{'x' * 64}'"),
    ],
)
def test_what_is_no_id_is_named_in_the_answer(acme: Admin, path: str, said: str) -> None:
    assert acme.get(path, 404)["detail"] == said
