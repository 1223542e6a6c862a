"""Delegations."""

from datetime import datetime
from uuid import UUID

from identity.actions.delegation import (
    Grant,
    change_delegation,
    end_delegation,
    get_delegation,
    grant_delegation,
    list_delegations,
    list_delegations_in_force,
)
from identity.admin import requests, requests_resources, responses
from identity.admin.endpoints import operation
from identity.admin.parsing import (
    changes_in,
    cut_page,
    expected_version,
    known_id,
    known_instant,
    read_cursor,
    read_id_cursor,
    write_cursor,
)
from identity.admin.tenants import present_tenant
from identity.edge.call import Call
from identity.model.authorization_details import check_details
from identity.model.delegation import Delegation
from identity.model.tenant import TASK_DURATION_S, TASK_LIFETIME_S


@operation(
    "POST", "/tenants/{tenant}/delegations", body=requests.NewDelegation, answer=responses.Delegation, status=201
)
def grant_delegation_(call: Call, asked: requests.NewDelegation) -> responses.Delegation:
    """Let an agent act for a user, or for the members of a group, at one resource server."""
    tenant = present_tenant(call)
    longest = tenant.task_lifetime_max_s
    grant = Grant(
        actor_id=asked.actor_id,
        subject_id=asked.subject_id,
        subject_group_id=asked.subject_group_id,
        resource=asked.resource,
        scopes=asked.scopes,
        authorization_details=check_details(asked.authorization_details),
        max_lifetime_s=min(TASK_LIFETIME_S, longest) if asked.max_lifetime_s is None else asked.max_lifetime_s,
        max_depth=asked.max_depth,
        max_task_s=min(TASK_DURATION_S, tenant.max_task_s) if asked.max_task_s is None else asked.max_task_s,
        expires_at=asked.expires_at,
    )
    granted = grant_delegation(
        call.tx,
        grant,
        tenant_lifetime_max_s=longest,
        tenant_max_task_s=tenant.max_task_s,
        caller=call.caller,
        now=call.now,
    )
    return responses.Delegation.model_validate(granted)


@operation("GET", "/tenants/{tenant}/delegations", query=requests.DelegationPage, answer=responses.DelegationList)
def list_delegations_(call: Call, page: requests.DelegationPage) -> responses.DelegationList:
    """List delegations, of one actor or for one subject; those that are active, if that is asked."""
    if page.active is not None:
        return _active_delegations(call, page)
    rows = list_delegations(
        call.tx,
        actor_id=page.actor,
        subject_id=page.subject,
        after=read_id_cursor(page.after),
        limit=page.limit + 1,
    )
    shown, cursor = cut_page(rows, page.limit, lambda delegation: write_cursor(str(delegation.id)))
    return responses.DelegationList(
        items=[responses.Delegation.model_validate(delegation) for delegation in shown], next_cursor=cursor
    )


def _active_delegations(call: Call, page: requests.DelegationPage) -> responses.DelegationList:
    rows = list_delegations_in_force(
        call.tx,
        actor_id=page.actor,
        subject_id=page.subject,
        after=_expiry_and_id(page.after),
        limit=page.limit + 1,
        now=call.now,
    )
    shown, cursor = cut_page(rows, page.limit, _expiry_cursor)
    return responses.DelegationList(
        items=[responses.Delegation.model_validate(row) for row in shown], next_cursor=cursor
    )


def _expiry_cursor(delegation: Delegation) -> str:
    expiry = "" if delegation.expires_at is None else delegation.expires_at.isoformat()
    return write_cursor(expiry, str(delegation.id))


def _expiry_and_id(cursor: str | None) -> tuple[datetime | None, UUID] | None:
    key = read_cursor(cursor, length=2)
    if key is None:
        return None
    return known_instant(key[0]) if key[0] else None, known_id(key[1])


@operation("GET", "/tenants/{tenant}/delegations/{delegation_id}", answer=responses.Delegation)
def get_delegation_(call: Call, delegation_id: UUID) -> responses.Delegation:
    """Read one delegation."""
    return responses.Delegation.model_validate(get_delegation(call.tx, delegation_id))


@operation(
    "PATCH",
    "/tenants/{tenant}/delegations/{delegation_id}",
    body=requests_resources.DelegationChange,
    answer=responses.Delegation,
)
def change_delegation_(
    call: Call, asked: requests_resources.DelegationChange, delegation_id: UUID
) -> responses.Delegation:
    """Change what a delegation permits; less than before ends the tokens that rest on it."""
    tenant, changes = present_tenant(call), changes_in(asked, "expires_at")
    if "authorization_details" in changes:
        changes["authorization_details"] = check_details(changes["authorization_details"])
    changed = change_delegation(
        call.tx,
        delegation_id,
        changes,
        tenant_lifetime_max_s=tenant.task_lifetime_max_s,
        tenant_max_task_s=tenant.max_task_s,
        expected_version=expected_version(),
        caller=call.caller,
        now=call.now,
    )
    return responses.Delegation.model_validate(changed)


@operation("DELETE", "/tenants/{tenant}/delegations/{delegation_id}")
def end_delegation_(call: Call, delegation_id: UUID) -> None:
    """End a delegation, and every token that rests on it."""
    end_delegation(call.tx, delegation_id, caller=call.caller, now=call.now)
