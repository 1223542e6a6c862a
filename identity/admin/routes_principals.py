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
from identity.admin import shapes, views
from identity.admin.operations import operation
from identity.admin.reading import cut_page, read_id_cursor, write_cursor
from identity.http import Call
from identity.model.principal import Principal
from identity.model.selection import PrincipalSelection


def _principal(principal: Principal) -> views.Principal:
    return views.Principal.model_validate(principal)


@operation("GET", "/tenants/{tenant}/principals", query=shapes.PrincipalPage, answer=views.PrincipalList)
def list_principals_(call: Call, page: shapes.PrincipalPage) -> views.PrincipalList:
    """List the living principals, of one kind, name or state, or those that no source may change."""
    wanted = PrincipalSelection(page.kind, page.name, page.state, page.is_protected is not None, page.ids)
    rows = list_principals(call.tx, wanted, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda principal: write_cursor(str(principal.id)))
    return views.PrincipalList(items=[_principal(principal) for principal in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/principals/{principal_id}", answer=views.PrincipalInFull)
def get_principal(call: Call, principal_id: UUID) -> views.PrincipalInFull:
    """Read one principal, with its owners and groups."""
    found = get_any_principal(call.tx, principal_id)
    return views.PrincipalInFull.model_validate(
        _principal(found.principal).model_dump()
        | {
            "owners": [views.Reference.model_validate(owner) for owner in found.owners],
            "groups": [views.Reference.model_validate(group) for group in found.groups],
        }
    )


def _change(call: Call, verb: Callable[..., Principal], asked: shapes.Reason, principal_id: UUID) -> views.Principal:
    return _principal(verb(call.tx, principal_id, reason=asked.reason, caller=call.caller, now=call.now))


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/suspend",
    body=shapes.Suspension,
    answer=views.Principal,
)
def suspend_principal(call: Call, asked: shapes.Suspension, principal_id: UUID) -> views.Principal:
    """Stop a principal at once, and everything that rests on it, until an administrator reactivates it."""
    return _change(call, partial(suspend, credentials=asked.credentials), asked, principal_id)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/reactivate",
    body=shapes.Reason,
    answer=views.ReactivatedPrincipal,
)
def reactivate_principal(call: Call, asked: shapes.Reason, principal_id: UUID) -> views.ReactivatedPrincipal:
    """Let a principal begin again, with the clients and delegations that its suspension kept, and no old token."""
    changed = reactivate(call.tx, principal_id, reason=asked.reason, caller=call.caller, now=call.now)
    restored = views.Restored.model_validate(changed.restored)
    return views.ReactivatedPrincipal(**_principal(changed.principal).model_dump(), restored=restored)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/deprovision",
    body=shapes.Reason,
    answer=views.Principal,
)
def deprovision_principal(call: Call, asked: shapes.Reason, principal_id: UUID) -> views.Principal:
    """End a principal's access, and everything that rests on it."""
    return _change(call, deprovision, asked, principal_id)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/protect",
    body=shapes.Reason,
    answer=views.Principal,
)
def protect_principal(call: Call, asked: shapes.Reason, principal_id: UUID) -> views.Principal:
    """Let no source change a principal; only administrators do."""
    return _change(call, protect, asked, principal_id)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/unprotect",
    body=shapes.Reason,
    answer=views.Principal,
)
def unprotect_principal(call: Call, asked: shapes.Reason, principal_id: UUID) -> views.Principal:
    """Give a principal back to its source."""
    return _change(call, unprotect, asked, principal_id)


@operation("GET", "/tenants/{tenant}/principals/{principal_id}/subjects", answer=views.Subjects)
def list_subjects_(call: Call, principal_id: UUID) -> views.Subjects:
    """List what upstream issuers call a user."""
    links = list_subjects(call.tx, principal_id)
    return views.Subjects(items=[views.Subject.model_validate(link) for link in links], next_cursor=None)


@operation(
    "POST",
    "/tenants/{tenant}/principals/{principal_id}/subjects",
    body=shapes.NewSubject,
    answer=views.Subject,
    status=201,
)
def link_subject_(call: Call, asked: shapes.NewSubject, principal_id: UUID) -> views.Subject:
    """Let a subject of an oidc connection mean this user."""
    linked = link_subject(
        call.tx,
        principal_id,
        connection_id=asked.connection_id,
        subject=asked.subject,
        caller=call.caller,
        now=call.now,
    )
    return views.Subject.model_validate(linked)


@operation("DELETE", "/tenants/{tenant}/principals/{principal_id}/subjects", query=shapes.SubjectName)
def unlink_subject_(call: Call, asked: shapes.SubjectName, principal_id: UUID) -> None:
    """Let a subject of an oidc connection mean nobody."""
    unlink_subject(
        call.tx,
        principal_id,
        connection_id=asked.connection_id,
        subject=asked.subject,
        caller=call.caller,
        now=call.now,
    )
