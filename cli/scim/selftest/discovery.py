"""What a server says of itself, and that it answers nobody without a token."""

from collections.abc import Mapping
from typing import Any

from cli.scim.expectations import expect, expect_error, expect_json, expect_list, expect_status
from cli.scim.selftest.asking import GROUP, USER, Asking, check

FEATURES = ("patch", "bulk", "filter", "sort", "etag", "changePassword")


@check("The ServiceProviderConfig says what is supported", "RFC 7644 §4")
def provider(asking: Asking) -> None:
    answer = asking.ask("GET", "/ServiceProviderConfig")
    expect_json(answer, 200)
    for feature in FEATURES:
        told = answer.member(feature)
        expect(isinstance(told, dict) and type(told.get("supported")) is bool, f"{feature}.supported is not said")
        asking.supported[feature] = told["supported"]
    expect(isinstance(answer.member("authenticationSchemes"), list), "authenticationSchemes is not said")


@check("The resource types name User and Group", "RFC 7644 §4")
def resource_types(asking: Asking) -> None:
    found = {one.get("name"): one for one in expect_list(asking.ask("GET", "/ResourceTypes"))}
    for name, endpoint, urn in (("User", "/Users", USER), ("Group", "/Groups", GROUP)):
        expect(name in found, f"{name} is not among them")
        told = found[name]
        expect((told.get("endpoint"), told.get("schema")) == (endpoint, urn), f"{name} is {told}")


@check("Every schema of a resource type is told", "RFC 7643 §7")
def schemas(asking: Asking) -> None:
    told = {one.get("id") for one in expect_list(asking.ask("GET", "/Schemas"))}
    for type_ in expect_list(asking.ask("GET", "/ResourceTypes")):
        missing = _schemas_of(type_) - told
        expect(not missing, f"{sorted(missing)} of {type_.get('name')} is not in /Schemas")


def _schemas_of(type_: Mapping[str, Any]) -> set[str]:
    extensions = [one.get("schema") for one in type_.get("schemaExtensions") or ()]
    return {str(urn) for urn in (type_.get("schema"), *extensions) if urn}


@check("Discovery refuses a filter", "RFC 7644 §4")
def filtered_discovery(asking: Asking) -> None:
    expect_error(asking.ask("GET", '/ResourceTypes?filter=name%20eq%20"User"'), 403)


@check("Without a token nothing is told", "RFC 7644 §2")
def no_token(asking: Asking) -> None:
    expect_status(asking.ask("GET", "/Users?count=1", Authorization=""), 401)


@check("A wrong token is refused", "RFC 6750 §3.1")
def wrong_token(asking: Asking) -> None:
    expect_status(asking.ask("GET", "/Users?count=1", Authorization=f"Bearer wrong-{asking.mark}"), 401)
