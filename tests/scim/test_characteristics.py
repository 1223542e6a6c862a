"""What /Schemas says of each attribute is what is done with it: every attribute of every schema is walked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.scim.sources import AGENT, ENTERPRISE, GROUP, PATCH, SERVICE_ACCOUNT, USER, Source

NAMES = {
    "Users": (USER, "userName"),
    "Groups": (GROUP, "displayName"),
    "Agents": (AGENT, "agentUserName"),
    "ServiceAccounts": (SERVICE_ACCOUNT, "userName"),
}
WRONG: dict[str, list[Any]] = {
    "string": [5, True, {"a": 1}],
    "reference": [5, True, []],
    "boolean": ["yes", 1, {}],
    "dateTime": ["yesterday", 5, "2026-13-01T00:00:00Z"],
    "binary": ["not base64!", 5],
    "complex": ["text", 5, True],
}


@dataclass(frozen=True)
class Attribute:
    """One attribute, as /Schemas tells of it. ``path`` is how an operation or a filter names it."""

    endpoint: str
    path: str
    urn: str | None
    name: str
    told: dict[str, Any]

    @property
    def is_simple(self) -> bool:
        return self.told["type"] != "complex" and not self.told["multiValued"]

    def within(self, value: Any) -> dict[str, Any]:
        """A part of a body in which it has a value."""
        return {self.name: value} if self.urn is None else {self.urn: {self.name: value}}


def attributes(source: Source) -> Iterator[Attribute]:
    schemas = {schema["id"]: schema for schema in source.get("/Schemas")["Resources"]}
    for type_ in source.get("/ResourceTypes")["Resources"]:
        endpoint = type_["endpoint"].lstrip("/")
        if endpoint in NAMES:
            for urn in (type_["schema"], *(each["schema"] for each in type_["schemaExtensions"])):
                prefix = None if urn == type_["schema"] else urn
                for told in schemas[urn]["attributes"]:
                    path = told["name"] if prefix is None else f"{prefix}:{told['name']}"
                    yield Attribute(endpoint, path, prefix, told["name"], told)


def body(attribute: Attribute, name: str, **more: Any) -> dict[str, Any]:
    schema, naming = NAMES[attribute.endpoint]
    return {"schemas": [schema], naming: name, **more}


def ask(source: Source, method: str, path: str, sent: Any) -> tuple[int, Any]:
    answer = source.ask(method, path, sent)
    return answer.status_code, answer.get_json() if answer.data else {}


def patch(source: Source, resource: str, **operation: Any) -> tuple[int, Any]:
    return ask(source, "PATCH", resource, {"schemas": [PATCH], "Operations": [operation]})


def test_what_is_read_only_is_ignored_in_a_body_and_refused_in_an_operation(rfc: Source) -> None:
    seen = 0
    for n, one in enumerate(attributes(rfc)):
        if one.told["mutability"] != "readOnly":
            continue
        seen += 1
        value: Any = [{"value": "x", "display": "y"}] if one.told["multiValued"] else "x"
        made = rfc.post(f"/{one.endpoint}", body(one, f"n{n}", **one.within(value)))
        assert one.name not in made
        path = f"/{one.endpoint}/{made['id']}"
        assert one.name not in rfc.put(path, body(one, f"n{n}", **one.within(value)))
        for op in ("add", "replace", "remove"):
            for spelled in (
                one.path,
                one.path.upper(),
                *(f"{one.path}.{sub['name']}" for sub in one.told["subAttributes"]),
            ):
                status, refused = patch(rfc, path, op=op, path=spelled, value=value)
                assert (status, refused["scimType"]) == (400, "mutability"), (op, spelled)
        assert rfc.get(path)["meta"]["version"] == 'W/"1"'
    assert seen == 3  # the groups of users, agents and service accounts


@pytest.mark.rfc("7643", "2.2")
def test_what_is_required_is_never_absent(rfc: Source) -> None:
    seen = set()
    for n, one in enumerate(attributes(rfc)):
        if not one.told["required"]:
            continue
        seen.add((one.endpoint, one.name))
        path = f"/{one.endpoint}/{rfc.post(f'/{one.endpoint}', body(one, f'n{n}'))['id']}"
        for empty in ({}, one.within(None), one.within("")):
            without = {"schemas": [NAMES[one.endpoint][0]], **empty}
            for method, where in (("POST", f"/{one.endpoint}"), ("PUT", path)):
                status, refused = ask(rfc, method, where, without)
                assert (status, refused["scimType"]) == (400, "invalidValue"), (method, empty)
        for operation in ({"op": "remove"}, {"op": "replace", "value": None}, {"op": "replace", "value": ""}):
            status, refused = patch(rfc, path, path=one.path, **operation)
            assert status == 400, operation
            assert refused["scimType"] in ("mutability", "invalidValue")
        assert rfc.get(path)["meta"]["version"] == 'W/"1"'
    assert seen == {(endpoint, name) for endpoint, (_, name) in NAMES.items()}


@pytest.mark.rfc("7643", "2.2")
@pytest.mark.parametrize("endpoint", NAMES)
def test_case_counts_in_filters_and_orders_where_the_schema_says_so(rfc: Source, endpoint: str) -> None:
    walked = [one for one in attributes(rfc) if one.endpoint == endpoint and one.is_simple]
    strings = [one for one in walked if one.told["type"] in ("string", "reference") and not one.told["required"]]
    assert strings
    ids = []
    for n, text in enumerate(("lower", "Middle", "UPPER")):  # by code point the first comes last
        sent: dict[str, Any] = {}
        for one in strings:
            if one.urn is None:
                sent[one.name] = text
            else:
                sent.setdefault(one.urn, {})[one.name] = text
        ids.append(
            rfc.post(f"/{endpoint}", {"schemas": [NAMES[endpoint][0]], NAMES[endpoint][1]: f"n{n}", **sent})["id"]
        )
    for one in strings:
        exact = one.told["caseExact"] or one.told["type"] == "reference"
        for operator, text in (("eq", "MIDDLE"), ("sw", "MID"), ("co", "DDL"), ("ew", "LE")):
            wanted = f'{one.path} {operator} "{text}"'
            page = rfc.get(f"/{endpoint}?filter={quote(wanted)}")
            assert [found["id"] for found in page["Resources"]] == ([] if exact else [ids[1]]), (one.path, operator)
        order = [found["id"] for found in rfc.get(f"/{endpoint}?sortBy={quote(one.path)}")["Resources"]]
        assert order == ([ids[1], ids[2], ids[0]] if exact else ids), one.path


@pytest.mark.parametrize("endpoint", NAMES)
def test_a_value_of_another_type_is_refused_in_bodies_and_in_operations(rfc: Source, endpoint: str) -> None:
    schema, naming = NAMES[endpoint]
    path = f"/{endpoint}/{rfc.post(f'/{endpoint}', {'schemas': [schema], naming: 'n'})['id']}"
    for one in [one for one in attributes(rfc) if one.endpoint == endpoint and one.told["mutability"] != "readOnly"]:
        for wrong in WRONG[one.told["type"]]:
            value = [wrong] if one.told["multiValued"] else wrong
            status, refused = ask(rfc, "POST", f"/{endpoint}", body(one, "other") | one.within(value))
            assert (status, refused["scimType"]) == (400, "invalidValue"), (one.path, wrong)
            for op in ("add", "replace"):
                status, refused = patch(rfc, path, op=op, path=one.path, value=value)
                assert (status, refused["scimType"]) == (400, "invalidValue"), (op, one.path, wrong)
    assert rfc.get(path)["meta"]["version"] == 'W/"1"'
    assert rfc.get(f"/{endpoint}")["totalResults"] == 1


def test_what_is_returned_on_request_is_shown_to_whoever_names_it_and_to_nobody_else(rfc: Source) -> None:
    sam = rfc.user("sam", displayName="Sam")
    group = rfc.group("G", sam)
    bot = rfc.post("/Agents", {"schemas": [AGENT], "name": "bot", "owners": [{"value": sam}]})["id"]
    on_request = {
        (one.endpoint, f"{one.name}.{sub['name']}")
        for one in attributes(rfc)
        for sub in one.told.get("subAttributes", ())
        if sub["returned"] == "request"
    }
    assert on_request == {
        ("Groups", "members.display"),
        ("Agents", "owners.display"),
        ("ServiceAccounts", "owners.display"),
    }
    for path, name in ((f"/Groups/{group}", "members"), (f"/Agents/{bot}", "owners")):
        for parameters in ("", f"?attributes={name}", "?excludedAttributes=meta", f"?attributes={name}.value"):
            assert "display" not in rfc.get(path + parameters)[name][0], parameters
        assert rfc.get(f"{path}?attributes={name}.display")[name] == [{"display": "Sam"}]


@pytest.mark.parametrize("endpoint", ["Users", "Agents", "ServiceAccounts"])
def test_what_is_unique_in_the_server_is_so_in_every_method(rfc: Source, rival: Source, endpoint: str) -> None:
    schema, naming = NAMES[endpoint]
    [told] = [one.told for one in attributes(rfc) if one.endpoint == endpoint and one.name == naming]
    assert told["uniqueness"] == "server"
    rfc.post(f"/{endpoint}", {"schemas": [schema], naming: "first"})
    path = f"/{endpoint}/{rfc.post(f'/{endpoint}', {'schemas': [schema], naming: 'second'})['id']}"
    sent = {"schemas": [schema], naming: "FIRST"}
    answers = [ask(rfc, "POST", f"/{endpoint}", sent), ask(rfc, "PUT", path, sent),
               patch(rfc, path, op="replace", path=naming, value="First"),
               patch(rfc, path, op="add", value={naming: "first"})]  # fmt: skip
    assert [(status, refused["scimType"]) for status, refused in answers] == [(409, "uniqueness")] * 4
    assert rfc.get(path)["meta"]["version"] == 'W/"1"'
    rival.post(f"/{endpoint}", sent)


@pytest.mark.rfc("7643", "2.5")
def test_what_nothing_is_left_of_is_absent(rfc: Source) -> None:
    mails = [{"value": "w@x", "type": "work", "primary": True}, {"value": "h@x", "type": "home"}]
    said = {"name": {"givenName": "Sam"}, "emails": mails, ENTERPRISE: {"department": "D"}}
    sam, empty = rfc.user("sam", **said), {"schemas", "id"}
    for asked in (
        "name.familyName",
        f"{ENTERPRISE}:division",
        "emails.display",
        f"name.familyName,{ENTERPRISE}:division",
    ):
        assert rfc.get(f"/Users/{sam}?attributes={asked}").keys() == empty, asked
    assert rfc.get(f"/Users/{sam}?attributes=emails.primary")["emails"] == [{"primary": True}]
    without = rfc.get(
        f"/Users/{sam}?excludedAttributes=name.givenName,emails.value,emails.type,{ENTERPRISE}:department"
    )
    assert without.keys() & {"name", "emails", ENTERPRISE} == {"emails"}
    assert without["emails"] == [{"primary": True}]
