"""Parties, delegations and tokens that are right, but for what a test changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from identity.model.delegation import Delegation
from identity.model.exchange import Held, Requested
from identity.model.lifecycle import State
from identity.model.principal import Kind
from identity.model.resource import DetailsType, ResourceServer
from identity.model.task import TaskState
from identity.model.token import GrantStatus, Party, TokenFacts

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ERP = "https://erp.example"
DETAILS = ({"type": "invoice", "actions": ["read", "pay"]},)


def soon(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def party(number: int, kind: Kind = Kind.AGENT, **changed: Any) -> Party:
    return replace(Party(UUID(int=number), kind, State.ACTIVE, 0, None, None), **changed)


SAM = party(1, Kind.USER)
BOT, OCR, MAIL, ARCHIVE, FIFTH = (party(number) for number in range(2, 7))


def delegation(actor: Party, **changed: Any) -> Delegation:
    right = Delegation(
        id=UUID(int=100 + actor.id.int),
        actor_id=actor.id,
        subject_id=SAM.id,
        subject_group_id=None,
        resource=ERP,
        scopes=("read", "pay"),
        authorization_details=DETAILS,
        max_lifetime_s=120,
        max_depth=4,
        created_at=NOW,
        expires_at=None,
        ended_at=None,
        ended_reason=None,
    )
    return replace(right, **changed)


def token(*actors: Party, **changed: Any) -> TokenFacts:
    """A live task token of Sam's with these actors, the present one first."""
    parties = (SAM, *actors)
    right = TokenFacts(
        jti=UUID(int=200),
        txn=UUID(int=201),
        client_id="client",
        subject_id=SAM.id,
        actor_ids=tuple(actor.id for actor in actors),
        ancestor_ids=(),
        delegation_ids=(UUID(int=102),),
        client_ids=("client",),
        party_ids=tuple(one.id for one in parties),
        epoch_sum=sum(one.epoch for one in parties),
        depth_max=4,
        audience=ERP,
        scopes=("read", "pay"),
        authorization_details=DETAILS,
        issued_at=NOW,
        expires_at=soon(120),
        is_revoked=False,
        parties=parties,
        delegations=(GrantStatus(str(UUID(int=102)), is_active=True),),
        clients=(GrantStatus("client", is_active=True),),
        task_state=TaskState.OPEN,
        task_expires_at=soon(3600),
        cutoffs=(),
        tenant_state="active",
    )
    return replace(right, **changed)


def server(audience: str = ERP, scopes: tuple[str, ...] = ("read", "pay"), **types: tuple[str, ...]) -> ResourceServer:
    """A resource server with these scopes, and types of authorization details with the scopes that each restricts."""
    known = tuple(DetailsType(name, restricted) for name, restricted in types.items())
    return ResourceServer(UUID(int=300), audience, None, scopes, known, NOW)


def from_upstream(**changed: Any) -> Held:
    """Sam's own token of an upstream issuer."""
    return replace(Held(SAM, (), None, soon(600)), **changed)


def from_token(*actors: Party, parent: TokenFacts | None = None, **changed: Any) -> Held:
    """A task token of ours with these actors."""
    held = parent or token(*actors)
    return replace(Held(SAM, actors, held, held.expires_at), **changed)


def wants(**changed: Any) -> Requested:
    return replace(Requested(ERP), **changed)
