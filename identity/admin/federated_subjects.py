"""Federated subjects: the names that upstream issuers have for a user."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from identity.actions.federated_subjects import link_subject, list_subjects, unlink_subject
from identity.admin.endpoints import delete, get, post
from identity.admin.requests import RequestModel
from identity.admin.responses import ResponseModel

SUBJECTS = "/tenants/{tenant}/principals/{principal_id}/subjects"

SubjectClaim = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class NewSubject(RequestModel):
    """What an upstream issuer calls this user, exactly as its subject claim says it."""

    connection_id: UUID
    subject: SubjectClaim


class SubjectName(BaseModel):
    """Which link."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection_id: UUID
    subject: SubjectClaim


class Subject(ResponseModel):
    """What an upstream issuer calls a user."""

    connection_id: UUID
    subject: str
    principal_id: UUID
    created_at: datetime


class Subjects(ResponseModel):
    """All upstream subjects of one user."""

    items: list[Subject]
    next_cursor: None = None


get(SUBJECTS, list_subjects, "List what upstream issuers call a user", Subjects)
post(SUBJECTS, link_subject, "Let a subject of an oidc connection mean this user", Subject, body=NewSubject, status=201)
delete(SUBJECTS, unlink_subject, "Let a subject of an oidc connection mean no user", query=SubjectName)
