"""The request bodies of the demo and of the example tenant: SCIM resources, and limits of a delegation."""

from typing import Any

from scim.patch.request import PATCH_SCHEMA

CORE = "urn:ietf:params:scim:schemas:core:2.0"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def user_body(user_name: str, external_id: str, given: str, family: str, title: str) -> dict[str, Any]:
    """Return a user (RFC 7643 §4.1)."""
    return {
        "schemas": [f"{CORE}:User"],
        "externalId": external_id,
        "userName": user_name,
        "active": True,
        "displayName": f"{given} {family}",
        "name": {"givenName": given, "familyName": family},
        "title": title,
        "emails": [{"value": user_name, "type": "work", "primary": True}],
    }


def entra_user(user_name: str, external_id: str, given: str, family: str, title: str) -> dict[str, Any]:
    """Return a user as Entra posts one."""
    body = user_body(user_name, external_id, given, family, title)
    body["schemas"].append(ENTERPRISE)
    body["name"]["formatted"] = body["displayName"]
    return body | {"meta": {"resourceType": "User"}, ENTERPRISE: {"department": "Finance"}, "roles": []}


def agent_body(name: str, external_id: str, owner: str) -> dict[str, Any]:
    """Return an agent with one owner."""
    return {
        "schemas": [f"{CORE}:Agent"],
        "externalId": external_id,
        "agentUserName": name,
        "displayName": name,
        "active": True,
        "owners": [{"value": owner}],
    }


def oidc_connection(name: str, issuer: str, audience: str, provisioned_by: str) -> dict[str, Any]:
    """Return a connection that finds people by the externalId of a SCIM connection; its keys are to be added."""
    found_by = {"match": "externalId", "provisioned_by": provisioned_by}
    return {"kind": "oidc", "name": name, "issuer": issuer, "audiences": [audience]} | found_by


def delegation_limits(audience: str, scope: str, max_depth: int) -> dict[str, Any]:
    """Return the members of a delegation that limit its tokens."""
    return {"resource": audience, "scopes": [scope], "max_lifetime_s": 120, "max_depth": max_depth}


def entra_group(display_name: str, external_id: str) -> dict[str, Any]:
    """Return a group as Entra posts one, with the schema that no standard knows."""
    return {
        "schemas": [f"{CORE}:Group", "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": external_id,
        "displayName": display_name,
        "meta": {"resourceType": "Group"},
    }


def entra_patch(op: str, path: str, value: Any) -> dict[str, Any]:
    """Return a PATCH with Entra's capital operations and strings for booleans."""
    return {"schemas": [PATCH_SCHEMA], "Operations": [{"op": op, "path": path, "value": value}]}
