"""Principals: who is there, and who must stop."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from identity.actions.federated_subjects import link_subject, list_subjects, unlink_subject
from identity.actions.principals import (
    deprovision,
    get_any_principal,
    list_principals,
    protect,
    reactivate,
    suspend,
    unprotect,
)
from identity.admin import requests, responses
from identity.admin.endpoints import operation
from identity.admin.parsing import cut_page, read_id_cursor, write_cursor
from identity.edge.call import Call
from identity.model.principal import Principal
from identity.model.selection import PrincipalSelection


def _principal(principal: Principal) -> responses.Principal:
    return responses.Principal.model_validate(principal)


@operation("GET", "/tenants/{tenant}/principals", query=requests.PrincipalPage, answer=responses.PrincipalList)
def list_principals_(call: Call, page: requests.PrincipalPage) -> responses.PrincipalList:
    """List the living principals, of one kind, name or state, or those that no source may change."""
    wanted = PrincipalSelection(page.kind, page.name, page.state, page.is_protected is not None, page.ids)
    rows = list_principals(call.tx, wanted, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda principal: write_cursor(str(principal.id)))
    return responses.PrincipalList(items=[_principal(principal) for principal in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/principals/{principal_id}", answer=responses.PrincipalInFull)
def get_principal(call: Call, principal_id: UUID) -> responses.PrincipalInFull:
    """Read one principal, with its owners and groups."""
    found = get_any_principal(call.tx, principal_id)
    return responses.PrincipalInFull.model_validate(
        _principal(found.principal).model_dump()
        | {
            "owners": [responses.Reference.model_validate(owner) for owner in found.owners],
            "groups": [responses.Reference.model_validate(group) for group in found.groups],
        }
    )


def _change(
    call: Call, verb: Callable[..., Principal], asked: requests.Reason, principal_id: UUID
) -> responses.Principal:
    return _principal(verb(call.tx, principal_id, reason=asked.reason, caller=call.caller, now=call.now))


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/suspend",
    body=requests.Suspension,
    answer=responses.Principal,
)
def suspend_principal(call: Call, asked: requests.Suspension, principal_id: UUID) -> responses.Principal:
    """Stop a principal at once, and everything that rests on it, until an administrator reactivates it."""
    return _change(call, partial(suspend, credentials=asked.credentials), asked, principal_id)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/reactivate",
    body=requests.Reason,
    answer=responses.ReactivatedPrincipal,
)
def reactivate_principal(call: Call, asked: requests.Reason, principal_id: UUID) -> responses.ReactivatedPrincipal:
    """Let a principal begin again, with the clients and delegations that its suspension kept, and no old token."""
    changed = reactivate(call.tx, principal_id, reason=asked.reason, caller=call.caller, now=call.now)
    restored = responses.Restored.model_validate(changed.restored)
    return responses.ReactivatedPrincipal(**_principal(changed.principal).model_dump(), restored=restored)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/deprovision",
    body=requests.Reason,
    answer=responses.Principal,
)
def deprovision_principal(call: Call, asked: requests.Reason, principal_id: UUID) -> responses.Principal:
    """End a principal's access, and everything that rests on it."""
    return _change(call, deprovision, asked, principal_id)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/protect",
    body=requests.Reason,
    answer=responses.Principal,
)
def protect_principal(call: Call, asked: requests.Reason, principal_id: UUID) -> responses.Principal:
    """Let no source change a principal; only administrators do."""
    return _change(call, protect, asked, principal_id)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/unprotect",
    body=requests.Reason,
    answer=responses.Principal,
)
def unprotect_principal(call: Call, asked: requests.Reason, principal_id: UUID) -> responses.Principal:
    """Give a principal back to its source."""
    return _change(call, unprotect, asked, principal_id)


@operation("GET", "/tenants/{tenant}/principals/{principal_id}/subjects", answer=responses.Subjects)
def list_subjects_(call: Call, principal_id: UUID) -> responses.Subjects:
    """List what upstream issuers call a user."""
    links = list_subjects(call.tx, principal_id)
    return responses.Subjects(items=[responses.Subject.model_validate(link) for link in links], next_cursor=None)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/subjects",
    body=requests.NewSubject,
    answer=responses.Subject,
    status=201,
)
def link_subject_(call: Call, asked: requests.NewSubject, principal_id: UUID) -> responses.Subject:
    """Let a subject of an oidc connection mean this user."""
    linked = link_subject(
        call.tx,
        principal_id,
        connection_id=asked.connection_id,
        subject=asked.subject,
        caller=call.caller,
        now=call.now,
    )
    return responses.Subject.model_validate(linked)


@operation("DELETE", "/tenants/{tenant}/principals/{principal_id}/subjects", query=requests.SubjectName)
def unlink_subject_(call: Call, asked: requests.SubjectName, principal_id: UUID) -> None:
    """Let a subject of an oidc connection mean nobody."""
    unlink_subject(
        call.tx,
        principal_id,
        connection_id=asked.connection_id,
        subject=asked.subject,
        caller=call.caller,
        now=call.now,
    )
