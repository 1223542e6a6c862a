"""The provisioning log keeps values only of attributes that a schema knows, wherever a request holds a secret."""

import json
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from identity.model.provisioning_log import CUT, MASK
from scim.log_redaction import kept_body, kept_path, kept_query
from scim.schema.resource_types import resource_types
from tests.scim.defined import Defined
from tests.scim.sources import ENTERPRISE, PATCH, USER, Source, Sources
from tests.scim.test_async import PREFER
from tests.scim.test_requirements import BULK, SEARCH
from tests.scim.worker import Worker

HIDDEN = "hunter2"
USERS, ALL = [resource_types()["Users"]], list(resource_types().values())
NOBODY = "01a20baa-8dd2-742c-aea4-a52dab6a2d95"


def patched(*operations: Any) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


SECRETS: dict[str, dict[str, Any]] = {
    "the password": {"password": HIDDEN},
    "the password in other letters": {"PassWord": {"value": HIDDEN}},
    "pwd": {"pwd": HIDDEN},
    "passwd": {"passwd": [HIDDEN]},
    "pass": {"pass": {"x": {"y": HIDDEN}}},
    "passcode, a number": {"passcode": 7_0000_0000},
    "Kennwort": {"Kennwort": HIDDEN},
    "a pair of name and value": {"name": "password", "value": HIDDEN},
    "a pair in a known attribute": {"emails": [{"type": "password", "value": HIDDEN}]},
    "a pair in a list": {"attributes": [{"key": "pwd", "value": HIDDEN}]},
    "in the name": {f"password={HIDDEN}": True},
    "in a name with blanks": {f"my pwd {HIDDEN}": True},
    "in the name of an extension": {f"urn:example:{HIDDEN}=x": {"a": 1}},
    "in a part that no schema knows": {"name": {"pwd": HIDDEN}},
    "in an extension": {ENTERPRISE: {"pwd": HIDDEN}},
    "in the extension of another": {"urn:example:params:Other": {"pwd": HIDDEN}},
    "an object where a text belongs": {"userName": {"pwd": HIDDEN}},
    "a text where an object belongs": {"name": HIDDEN},
    "among the schemas": {"schemas": [USER, HIDDEN, f"urn:x:{HIDDEN}"]},
    "schemas that are no array": {"schemas": HIDDEN},
    "the value of an unknown path": patched({"op": "add", "path": "pwd", "value": HIDDEN}),
    "the value of the password": patched({"op": "replace", "path": "password", "value": HIDDEN}),
    "the value of a qualified password": patched({"op": "add", "Path": f"{USER}:password", "value": {"value": HIDDEN}}),
    "a value without a path": patched({"op": "add", "value": HIDDEN}),
    "members of a value without a path": patched({"op": "add", "value": {"pwd": HIDDEN, f"x={HIDDEN}": 1}}),
    "an operation with a target": patched({"op": "replace", "target": "password", "value": HIDDEN}),
    "an unknown op": patched({"op": HIDDEN, "path": "title", "value": "x"}),
    "an unknown member of an operation": patched({"op": "add", "path": "title", "value": "x", "pwd": HIDDEN}),
    "an operation that is a text": patched(HIDDEN),
    "a path that selects by a secret": patched({"op": "remove", "path": f'emails[password eq "{HIDDEN}"]'}),
    "a path that selects by what is unknown": patched({"op": "remove", "path": f'emails[pwd eq "{HIDDEN}"].value'}),
    "an unknown attribute that selects": patched({"op": "remove", "path": f'pwds[value eq "{HIDDEN}"]'}),
    "a path that is no path": patched({"op": "remove", "path": f"password eq {HIDDEN}"}),
    "a path with a value": patched({"op": "remove", "path": f"password={HIDDEN}"}),
    "a path that is an object": patched({"op": "remove", "path": {"pwd": HIDDEN}}),
    "a path as a key": patched({"op": "add", "value": {f'emails[pwd eq "{HIDDEN}"].value': "x"}}),
    "a Bulk's data": {"schemas": [BULK], "Operations": [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"pwd": HIDDEN, "userName": "x"}}]},
    "a Bulk's data for no endpoint": {"schemas": [BULK], "Operations": [
        {"method": "POST", "path": "/Nothing", "bulkId": "1", "data": {"userName": HIDDEN}}]},
    "a Bulk's bare operations": {"schemas": [BULK], "Operations": [
        {"method": "PATCH", "path": f"/Users/{NOBODY}", "data": [{"op": "add", "path": "pwd", "value": HIDDEN}]}]},
    "a Bulk's path": {"schemas": [BULK], "Operations": [{"method": "DELETE", "path": f"/Users/{HIDDEN}"}]},
    "a Bulk's method": {"schemas": [BULK], "Operations": [{"method": HIDDEN, "path": "/Users"}]},
    "a member beside a Bulk's operations": {"schemas": [BULK], "Operations": [], "pwd": HIDDEN},
    "a search by the password": {"schemas": [SEARCH], "filter": f'userName eq "dana" and password eq "{HIDDEN}"'},
    "a search by what is unknown": {"schemas": [SEARCH], "filter": f'pwd eq "{HIDDEN}" or title pr'},
    "a search that is unquoted": {"schemas": [SEARCH], "filter": f"password eq {HIDDEN}"},
    "a search that ends early": {"schemas": [SEARCH], "filter": f'password eq "\\"{HIDDEN}'},
    "a search that is no search": {"schemas": [SEARCH], "filter": f"pwd={HIDDEN}"},
    "a search by an object": {"schemas": [SEARCH], "filter": {"pwd": HIDDEN}},
    "a search's attributes": {"schemas": [SEARCH], "attributes": [f"pwd={HIDDEN}"]},
    "a search's cursor": {"schemas": [SEARCH], "cursor": HIDDEN},
    "a search's order": {"schemas": [SEARCH], "sortOrder": HIDDEN, "count": HIDDEN, "startIndex": HIDDEN},
}  # fmt: skip


@pytest.mark.parametrize("types", [USERS, ALL, []], ids=["users", "all", "none"])
@pytest.mark.parametrize("sent", SECRETS)
def test_a_value_that_no_schema_knows_is_not_kept(sent: str, types: Any) -> None:
    kept = json.dumps(kept_body(SECRETS[sent], types))
    assert HIDDEN not in kept
    assert "70000000" not in kept


@pytest.mark.parametrize(
    "query",
    [
        {"filter": f'pwd eq "{HIDDEN}"'}, {"filter": f"password eq {HIDDEN}"}, {"pwd": HIDDEN}, {f"pwd={HIDDEN}": ""},
        {"sortBy": f"pwd={HIDDEN}"}, {"attributes": f"userName,pwd={HIDDEN}"}, {"cursor": HIDDEN},
        {"access_token": HIDDEN}, {"filter": f"urn:pwd={HIDDEN}:x pr"}, {"count": HIDDEN},
    ],
)  # fmt: skip
@pytest.mark.parametrize("types", [USERS, ALL, []], ids=["users", "all", "none"])
def test_a_parameter_that_says_nothing_of_a_known_attribute_is_not_kept(query: dict[str, str], types: Any) -> None:
    assert HIDDEN not in json.dumps(kept_query(query, types))


def test_names_of_unknown_attributes_are_kept_when_they_are_names() -> None:
    kept = kept_body({"shoeSize": 43, "x y": 1, "$odd": [], "urn:example:params:Other": {}}, USERS)
    assert kept == {"shoeSize": MASK, MASK: MASK, "$odd": MASK, "urn:example:params:Other": MASK}


KEPT: list[dict[str, Any]] = [
    {"schemas": [USER, ENTERPRISE], "userName": "dana", "active": False, "name": {"givenName": None}},
    {"emails": [{"value": "a@x", "type": "work", "primary": True}], "externalId": "7", "nickName": None},
    {ENTERPRISE: {"department": "x", "manager": {"value": NOBODY}}, "UserName": "Dana"},
    {"department": "of one extension only", "manager": "271"},
    patched({"op": "Replace", "path": "title", "value": "x"}, {"op": "Add", "path": "active", "value": "False"}),
    patched({"op": "add", "path": 'emails[type eq "work"].value', "value": "a@x"}),
    patched({"op": "add", "path": "name.givenName", "value": "D"}, {"op": "remove", "path": "manager"}),
    patched({"op": "add", "path": f"{ENTERPRISE}:department", "value": "x"}, {"op": "remove", "path": "shoeSize"}),
    patched({"op": "replace", "value": {"name.givenName": "D", f"{ENTERPRISE}:department": "x", "title": "t"}}),
    {"schemas": [SEARCH], "filter": 'userName eq "dana" and emails[type eq "work"]', "count": 1, "sortBy": "title"},
]  # fmt: skip


@pytest.mark.parametrize("sent", KEPT, ids=str)
def test_what_a_schema_knows_is_kept(sent: dict[str, Any]) -> None:
    assert kept_body(sent, USERS) == sent


def test_a_bulk_is_kept_as_each_of_its_operations_would_be() -> None:
    sent = {"schemas": [BULK], "failOnErrors": 1, "Operations": [
        {"method": "POST", "path": "/Users", "bulkId": "d", "data": {"schemas": [USER], "userName": "dana"}},
        {"method": "PATCH", "path": f"/Users/{NOBODY}", "data": patched({"op": "remove", "path": "title"})},
    ]}  # fmt: skip
    assert kept_body(sent, ALL) == sent


def test_a_literal_is_masked_and_the_rest_of_a_filter_is_not() -> None:
    kept = kept_query({"filter": f'shoeSize gt 43 and userName eq "{HIDDEN}"'}, USERS)
    assert kept == {"filter": f'shoeSize gt "{MASK}" and userName eq "{MASK}"'}


def test_long_values_and_lists_are_cut() -> None:
    kept = kept_body({"userName": "x" * 300, "emails": [{"value": str(n)} for n in range(30)]}, USERS)
    assert kept["userName"] == "x" * 200 + CUT
    assert len(kept["emails"]) == 21


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/Users/{id}", "/Users/{id}"),
        ("/Users/.search", "/Users/.search"),
        (f"/Schemas/{USER}", f"/Schemas/{USER}"),
        ("/Nothing/pwd=hunter2", f"/Nothing/{MASK}"),
        ("/pwd hunter2", f"/{MASK}"),
    ],
)
def test_a_path_keeps_names_alone(path: str, kept: str) -> None:
    assert kept_path(path) == kept


# --- through the API ---


def rows(source: Source, owner_url: str) -> str:
    """Return all that the tenant's provisioning log and its events hold."""
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute("SELECT set_config('app.tenant', %s, false)", [str(source.tenant_id)])
        found = owner.execute(
            "SELECT to_jsonb(r)::text FROM provisioning_requests r WHERE tenant_id = %(t)s"
            " UNION ALL SELECT to_jsonb(e)::text FROM events e WHERE tenant_id = %(t)s",
            {"t": source.tenant_id},
        ).fetchall()
    return "\n".join(row[0] for row in found)


@pytest.mark.parametrize("dialect", ["rfc", "entra", "okta", "interop"])
def test_no_request_leaves_a_secret_in_the_log(sources: Sources, owner_url: str, dialect: str) -> None:
    source = sources.make("acme", dialect)
    sam = source.user("sam")
    for body in SECRETS.values():
        send_everywhere(source, sam, body)
    kept = rows(source, owner_url)
    assert kept.count("refused") > len(SECRETS)
    assert HIDDEN not in kept


def send_everywhere(source: Source, sam: str, body: dict[str, Any]) -> None:
    named = {"schemas": [USER], "userName": "dana", **body}
    for path in ("/Users", "/Users/.search", "/.search", "/Bulk", "/Groups", "/Nothing"):
        source.ask("POST", path, named)
    source.ask("PUT", f"/Users/{sam}", named)
    source.ask("PATCH", f"/Users/{sam}", body)
    inner = [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": named},
        {"method": "PATCH", "path": f"/Users/{sam}", "data": body},
    ]
    source.ask("POST", "/Bulk", {"schemas": [BULK], "Operations": inner})


@pytest.mark.parametrize(
    "path",
    [
        f"/Users?filter={quote(f'pwd eq {json.dumps(HIDDEN)}')}", f"/Users?filter=password%20eq%20{HIDDEN}",
        f"/?filter={quote(f'pwd eq {json.dumps(HIDDEN)}')}", f"/Users/x?pwd={HIDDEN}", f"/Nothing?password={HIDDEN}",
        f"/Users?sortBy=pwd={HIDDEN}", f"/Users?cursor={HIDDEN}", f"/Users?count={HIDDEN}", f"/Nothing/pwd={HIDDEN}",
        f"/pwd={HIDDEN}", f"/Users/pwd={HIDDEN}", f"/Users/{NOBODY}?attributes=pwd={HIDDEN}&excludedAttributes=x",
    ],
)  # fmt: skip
def test_no_query_and_no_path_leaves_a_secret_in_the_log(rfc: Source, owner_url: str, path: str) -> None:
    assert rfc.ask("GET", path, Authorization_X=HIDDEN, If_None_Match=HIDDEN).status_code >= 400
    kept = rows(rfc, owner_url)
    assert "refused" in kept
    assert HIDDEN not in kept


@pytest.mark.parametrize("body", [f'{{"pwd": "{HIDDEN}"', f'"{HIDDEN}"', f"pwd={HIDDEN}", f'{{"a": {HIDDEN}}}'])
def test_a_body_that_is_no_json_object_leaves_nothing_in_the_log(rfc: Source, owner_url: str, body: str) -> None:
    assert rfc.ask("POST", "/Users", body).status_code == 400
    assert HIDDEN not in rows(rfc, owner_url)


def test_an_asynchronous_request_leaves_no_secret_in_the_log(rfc: Source, runtime: Any, owner_url: str) -> None:
    operation = {"method": "POST", "path": "/Users", "bulkId": "1",
                 "data": {"schemas": [USER], "userName": "sam", "pwd": HIDDEN, "password": HIDDEN}}  # fmt: skip
    rfc.ask("POST", "/Bulk", {"schemas": [BULK], "Operations": [operation]}, **PREFER)
    Worker(runtime, owner_url).work(rfc)
    kept = rows(rfc, owner_url)
    assert "/Users" in kept
    assert "pwd" in kept
    assert HIDDEN not in kept


def test_what_a_tenant_defines_is_known(rfc: Source, defined: Defined, owner_url: str) -> None:
    defined.device()
    rfc.post(
        "/Devices", {"schemas": ["urn:example:params:scim:Device"], "serial": "s-1", "colour": "red", "pwd": HIDDEN}
    )
    kept = rows(rfc, owner_url)
    assert '"colour": "red"' in kept
    assert HIDDEN not in kept
