"""Federated subjects: link and unlink the names that upstream issuers have for a user."""

from datetime import datetime
from uuid import UUID

from identity.actions.preconditions import require
from identity.model.access import Caller
from identity.model.connection import ConnectionKind
from identity.model.cutoff import CutoffKind
from identity.model.errors import AlreadyExists, InvalidRequest, LimitExceeded
from identity.model.event import Event
from identity.model.federated_subject import FederatedSubject, check_subject, upstream_key_of
from identity.model.principal import Kind
from identity.store import Tx
from identity.store.connections import connection_get
from identity.store.events import event_insert
from identity.store.federated_subjects import (
    federated_subject_delete,
    federated_subject_get,
    federated_subject_insert,
    federated_subject_list,
    federated_subject_release,
)
from identity.store.locks import subject_key
from identity.store.principals import principal_get, principal_lock
from identity.store.tokens import cutoff_set

SUBJECTS_MAX = 50  # of one person, over all connections


def link_subject(
    tx: Tx, principal_id: UUID, *, connection_id: UUID, subject: str, caller: Caller, now: datetime
) -> FederatedSubject:
    """Let ``subject`` of an oidc connection mean this user. Repeating it changes nothing.

    Raises ``NotFound``, ``InvalidRequest``, ``LimitExceeded``; ``AlreadyExists`` when it means another living
    principal.
    """
    check_subject(subject)
    require(principal_lock(tx, principal_id, kind=Kind.USER), "no user with this id")
    connection = connection_get(tx, connection_id)
    if connection is None or connection.kind is not ConnectionKind.OIDC or connection.ended_at is not None:
        raise InvalidRequest("no active OIDC connection has this id", pointer="/connection_id")
    held = federated_subject_get(tx, connection_id, subject)
    if held is not None and held.principal_id == principal_id:
        return held
    if len(federated_subject_list(tx, principal_id, limit=SUBJECTS_MAX)) >= SUBJECTS_MAX:
        raise LimitExceeded(f"a user may have at most {SUBJECTS_MAX} upstream subjects", reason="too_many_subjects")
    if federated_subject_release(tx, connection_id, subject):
        _cut_off(tx, connection_id, subject, reason="subject_relinked", now=now)
    linked = federated_subject_insert(
        tx, connection_id=connection_id, subject=subject, principal_id=principal_id, now=now
    )
    if linked is None:
        raise AlreadyExists("this subject is linked to another principal", reason="subject_taken")
    _record(tx, "subject.linked", principal_id, connection_id, caller=caller, now=now)
    return linked


def list_subjects(tx: Tx, principal_id: UUID) -> list[FederatedSubject]:
    """Return the upstream subjects that mean this principal. Raises ``NotFound``."""
    require(principal_get(tx, principal_id), "no principal with this id")
    return federated_subject_list(tx, principal_id, limit=SUBJECTS_MAX)


def unlink_subject(
    tx: Tx, principal_id: UUID, *, connection_id: UUID, subject: str, caller: Caller, now: datetime
) -> None:
    """Let ``subject`` mean no principal, and end the tokens that rest on one of its tokens. Raises ``NotFound``.

    Repeating it changes nothing.
    """
    require(principal_lock(tx, principal_id), "no principal with this id")
    if federated_subject_delete(tx, connection_id=connection_id, subject=subject, principal_id=principal_id):
        _cut_off(tx, connection_id, subject, reason="subject_unlinked", now=now)
        _record(tx, "subject.unlinked", principal_id, connection_id, caller=caller, now=now)


def _cut_off(tx: Tx, connection_id: UUID, subject: str, *, reason: str, now: datetime) -> None:
    """End the upstream tokens for this subject: they do not count for the next principal that it means."""
    key = upstream_key_of(connection_id, subject)
    cutoff_set(tx, CutoffKind.SUBJECT, key, reason=reason, now=now)
    tx.ends.add(subject_key(key))


def _record(tx: Tx, type_: str, principal_id: UUID, connection_id: UUID, *, caller: Caller, now: datetime) -> None:
    """Write an event without the subject, which is personal: the audit log outlives an erased person."""
    event = Event(type=type_, subject_id=principal_id, detail={"connection_id": str(connection_id)})
    event_insert(tx, event, caller=caller, now=now)
