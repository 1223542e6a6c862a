"""From verified claims to a decision: the facts are the token's, the answer is Cedar's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cedarpy
from identity_verifier import Actor, VerifiedClaims

Action = Literal["read", "pay"]
SCOPES: Mapping[Action, str] = {"read": "invoices.read", "pay": "invoices.pay"}
DETAILS_TYPE = "task_resource_access"  # registered with both scopes: its entries restrict them
PRINCIPALS = {"user": "User", "ai_agent": "Agent", "service_account": "ServiceAccount"}
KNOWN_MEMBERS = {"type", "resource", "actions", "constraints", "delegation"}

HERE = Path(__file__).parent
SCHEMA = cedarpy.Schema.from_str((HERE / "invoices.cedarschema").read_text(encoding="utf-8"))
POLICY_TEXT = (HERE / "policies.cedar").read_text(encoding="utf-8")
POLICIES = cedarpy.PolicySet.from_str(POLICY_TEXT)


@dataclass(frozen=True, slots=True)
class Invoice:
    id: str
    amount_usd: int
    supplier: str


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is for the caller: the rules that forbade, in words."""

    is_allowed: bool
    reason: str


def check_policies() -> None:
    """Raise ``ValueError`` when a policy needs something that no request carries."""
    result = cedarpy.validate_policies(POLICY_TEXT, SCHEMA)
    if not result.validation_passed:
        raise ValueError("; ".join(str(error) for error in result.errors))


def decide(claims: VerifiedClaims, action: Action, invoice: Invoice) -> Decision:
    """Ask Cedar. A policy that could not be evaluated refuses, as it may have been the one that forbids."""
    resource = {"type": "Invoice", "id": invoice.id}
    request = {
        "principal": {"type": PRINCIPALS.get(claims.subject_profile or "", "Unknown"), "id": claims.subject},
        "action": {"type": "Action", "id": action},
        "resource": resource,
        "context": to_cedar_context(claims, action, invoice),
    }
    entities = [{"uid": resource, "attrs": {"amount_usd": invoice.amount_usd}, "parents": []}]
    answer = cedarpy.is_authorized(request, POLICIES, entities, schema=SCHEMA)
    reasons = sorted(answer.diagnostics.id_annotations_by_reason.values())
    if answer.diagnostics.errors:
        return Decision(False, "a policy could not be evaluated")
    return Decision(answer.allowed, "; ".join(reasons) or "no policy permits this")


def to_cedar_context(claims: VerifiedClaims, action: Action, invoice: Invoice) -> dict[str, Any]:
    """Flat facts, since policies match flat facts best; what is absent in the token is absent here."""
    context: dict[str, Any] = {
        "tenant": claims.tenant,
        "client_id": claims.client_id,
        "depth": claims.depth,
        "scopes": list(claims.scopes),
        "details_stand_alone": claims.details_stand_alone,
        "within_details": is_within_details(claims, action, invoice),
    }
    if claims.txn is not None:
        context["txn"] = claims.txn
    if claims.actor is not None:
        context["actor"] = to_cedar_party(claims.actor)
    return context


def to_cedar_party(actor: Actor) -> dict[str, str]:
    return {"subject": actor.subject, "issuer": actor.issuer, "profile": actor.profile or "unknown"}


def is_within_details(claims: VerifiedClaims, action: Action, invoice: Invoice) -> bool:
    """Authorization details restrict the scopes (RFC 9396); without any, the scopes stand alone."""
    return claims.is_within_details({DETAILS_TYPE}, lambda entry: reaches(entry, claims.audience, action, invoice))


def reaches(entry: Mapping[str, Any], audience: str, action: Action, invoice: Invoice) -> bool:
    """Return whether one entry permits this call. An unknown member may be a limit, so it refuses."""
    if not KNOWN_MEMBERS.issuperset(entry):
        return False
    actions, constraints = entry.get("actions"), entry.get("constraints", {})
    is_named = isinstance(actions, list) and SCOPES[action] in actions
    is_here = entry.get("resource", audience) == audience
    return is_named and is_here and is_within_constraints(constraints, invoice)


def is_within_constraints(constraints: Any, invoice: Invoice) -> bool:
    if not isinstance(constraints, dict) or not set(constraints) <= {"max_amount_usd"}:
        return False
    limit = constraints.get("max_amount_usd", invoice.amount_usd)
    return type(limit) in (int, float) and invoice.amount_usd <= limit
