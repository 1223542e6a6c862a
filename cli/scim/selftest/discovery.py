"""Discovery (RFC 7644 §4), and requests without a valid token."""

from collections.abc import Mapping
from typing import Any

from cli.scim.expectations import expect, expect_error, expect_json, expect_list, expect_status
from cli.scim.selftest.run import GROUP, USER, Run, check

FEATURES = ("patch", "bulk", "filter", "sort", "etag", "changePassword")


@check("The ServiceProviderConfig says what is supported", "RFC 7644 §4")
def provider(run: Run) -> None:
    answer = run.get("/ServiceProviderConfig")
    expect_json(answer, 200)
    for feature in FEATURES:
        found = answer.member(feature)
        expect(isinstance(found, dict) and type(found.get("supported")) is bool, f"{feature}.supported is not said")
        run.supported[feature] = found["supported"]
    expect(isinstance(answer.member("authenticationSchemes"), list), "authenticationSchemes is not said")


@check("The resource types name User and Group", "RFC 7644 §4")
def resource_types(run: Run) -> None:
    found = {one.get("name"): one for one in expect_list(run.get("/ResourceTypes"))}
    for name, endpoint, urn in (("User", "/Users", USER), ("Group", "/Groups", GROUP)):
        expect(name in found, f"{name} is not among them")
        type_ = found[name]
        expect((type_.get("endpoint"), type_.get("schema")) == (endpoint, urn), f"{name} is {type_}")


@check("Every schema of a resource type is told", "RFC 7643 §7")
def schemas(run: Run) -> None:
    published = {one.get("id") for one in expect_list(run.get("/Schemas"))}
    for type_ in expect_list(run.get("/ResourceTypes")):
        missing = _schemas_of(type_) - published
        expect(not missing, f"{sorted(missing)} of {type_.get('name')} is not in /Schemas")


def _schemas_of(type_: Mapping[str, Any]) -> set[str]:
    extensions = [one.get("schema") for one in type_.get("schemaExtensions") or ()]
    return {str(urn) for urn in (type_.get("schema"), *extensions) if urn}


@check("Discovery refuses a filter", "RFC 7644 §4")
def filtered_discovery(run: Run) -> None:
    expect_error(run.get("/ResourceTypes", filter='name eq "User"'), 403)


@check("Without a token nothing is told", "RFC 7644 §2")
def no_token(run: Run) -> None:
    expect_status(run.request("GET", "/Users?count=1", Authorization=""), 401)


@check("A wrong token is refused", "RFC 6750 §3.1")
def wrong_token(run: Run) -> None:
    expect_status(run.request("GET", "/Users?count=1", Authorization=f"Bearer wrong-{run.mark}"), 401)
