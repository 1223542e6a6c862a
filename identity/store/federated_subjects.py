"""Links from an upstream issuer's subject to a person of ours."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects.postgresql import insert

from identity.model.federated_subject import FederatedSubject
from identity.store.rows import RowMapper
from identity.store.tables import federated_subjects, principals
from identity.store.tx import Tx

FEDERATED_SUBJECTS = RowMapper(federated_subjects, FederatedSubject)


def federated_subject_insert(
    tx: Tx, *, connection_id: UUID, subject: str, principal_id: UUID, now: datetime
) -> FederatedSubject | None:
    """Write a new link; None when the subject is linked already."""
    link = FederatedSubject(connection_id, subject, principal_id, now)
    statement = (
        insert(federated_subjects)
        .values(tenant_id=tx.tenant_id, **FEDERATED_SUBJECTS.values(link))
        .on_conflict_do_nothing()
        .returning(*FEDERATED_SUBJECTS.columns)
    )
    return FEDERATED_SUBJECTS.first(tx.execute(statement))


def federated_subject_get(tx: Tx, connection_id: UUID, subject: str) -> FederatedSubject | None:
    """Return the link of one subject."""
    is_of_connection = federated_subjects.c.connection_id == connection_id
    return FEDERATED_SUBJECTS.get(tx, is_of_connection, federated_subjects.c.subject == subject)


def federated_subject_delete(tx: Tx, *, connection_id: UUID, subject: str, principal_id: UUID) -> bool:
    """Remove one link of one principal; False when there is none."""
    statement = delete(federated_subjects).where(
        federated_subjects.c.tenant_id == tx.tenant_id,
        federated_subjects.c.connection_id == connection_id,
        federated_subjects.c.subject == subject,
        federated_subjects.c.principal_id == principal_id,
    )
    return tx.execute(statement).rowcount == 1


def federated_subject_release(tx: Tx, connection_id: UUID, subject: str) -> bool:
    """Remove the link of a subject whose principal was deleted; False when there is none."""
    gone = exists().where(
        principals.c.tenant_id == tx.tenant_id,
        principals.c.id == federated_subjects.c.principal_id,
        principals.c.deleted_at.is_not(None),
    )
    statement = delete(federated_subjects).where(
        federated_subjects.c.tenant_id == tx.tenant_id,
        federated_subjects.c.connection_id == connection_id,
        federated_subjects.c.subject == subject,
        gone,
    )
    return tx.execute(statement).rowcount == 1


def federated_subject_list(tx: Tx, principal_id: UUID, *, limit: int) -> list[FederatedSubject]:
    """Return at most ``limit`` links of one principal."""
    statement = (
        select(*FEDERATED_SUBJECTS.columns)
        .where(federated_subjects.c.tenant_id == tx.tenant_id, federated_subjects.c.principal_id == principal_id)
        .order_by(federated_subjects.c.connection_id, federated_subjects.c.subject)
        .limit(limit)
    )
    return FEDERATED_SUBJECTS.all(tx.execute(statement))
