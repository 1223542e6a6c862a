"""The tree of a task's tokens, built from the events of the audit log.

A token that was renewed is one node, however many editions it has; what was traded for any of them is below it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from identity.model.event import Outcome, RecordedEvent
from identity.model.task import TaskState

ISSUED, REVOKED, OPENED = "token.issued", "token.revoked", "task.opened"
ENDINGS: Mapping[str, TaskState] = {"task.cancelled": TaskState.CANCELLED, "task.completed": TaskState.COMPLETED}
BRANCH_CANCELLED = "task.branch_cancelled"


@dataclass(frozen=True, slots=True)
class TaskRefusal:
    """Something that was refused in a task."""

    at: datetime
    type: str
    reason: str | None
    actor_ids: tuple[UUID, ...]
    client_id: str | None


@dataclass(slots=True)
class TaskToken:
    """A token of a task, with all its editions, and what was derived from it.

    ``actor_id`` is null where the token is the subject's own. ``has_crossed``: it is for another audience than the one
    that it was traded for. ``is_cancelled``: an actor of its chain cancelled its branch.
    """

    jti: UUID
    actor_id: UUID | None
    client_id: str
    audience: str
    scope: str
    issued_at: datetime
    expires_at: datetime
    renewals: int
    has_crossed: bool
    is_cancelled: bool
    revoked_at: datetime | None
    refusals: list[TaskRefusal]
    children: list["TaskToken"]


@dataclass(frozen=True, slots=True)
class TaskTree:
    """Who did what in a task: a tree of tokens, drawn from the audit log.

    ``refusals`` are those under no token. ``is_truncated``: the task has more events than the tree is drawn from.
    """

    txn: UUID
    subject_id: UUID | None
    opened_by: UUID | None
    purpose: str | None
    opened_at: datetime
    ended_at: datetime | None
    ended_as: TaskState | None
    ended_reason: str | None
    tokens: tuple[TaskToken, ...]
    refusals: tuple[TaskRefusal, ...]
    is_truncated: bool


def tree_of(txn: UUID, events: Sequence[RecordedEvent], *, is_truncated: bool) -> TaskTree:
    """Return the tree of a task's events, of which there is at least one, oldest first."""
    nodes, editions, parents = _nodes_of(events)
    roots = [node for first, node in nodes.items() if not _attach(node, nodes.get(editions.get(parents[first], "")))]
    refused = (each for each in events if each.event.outcome is Outcome.REFUSED)
    refusals = [each for each in refused if not _attach_refusal(each, nodes, editions)]
    opened = next((each for each in events if each.event.type == OPENED), None)
    ended = next((each for each in events if each.event.type in ENDINGS), None)
    first = opened or events[0]
    return TaskTree(
        txn=txn,
        subject_id=first.event.subject_id,
        opened_by=first.event.actor_ids[0] if first.event.actor_ids else first.event.subject_id,
        purpose=opened.event.detail.get("purpose") if opened else None,
        opened_at=first.at,
        ended_at=ended.at if ended else None,
        ended_as=ENDINGS[ended.event.type] if ended else None,
        ended_reason=ended.event.reason if ended else None,
        tokens=tuple(roots),
        refusals=tuple(map(_refusal, refusals)),
        is_truncated=is_truncated,
    )


Nodes = dict[str, TaskToken]
Editions = Mapping[str, str]
"""The id of each token to that of its first edition; both as events have them."""


def _nodes_of(events: Iterable[RecordedEvent]) -> tuple[Nodes, Editions, Mapping[str, str]]:
    """Return the tokens by their first editions, the editions, and the token that each first edition was traded for."""
    nodes: Nodes = {}
    editions: dict[str, str] = {}
    parents: dict[str, str] = {}
    issued = [each for each in events if each.event.type == ISSUED]
    cancelled = {actor for each in events if each.event.type == BRANCH_CANCELLED for actor in each.event.actor_ids}
    for each in issued:
        jti = each.event.detail["jti"]
        first = each.event.detail.get("first_jti") or jti
        editions[jti] = first
        if first in nodes:
            nodes[first].renewals += 1
            nodes[first].expires_at = _expiry(each)
        else:
            nodes[first] = _node(each, UUID(first), cancelled)
            parents[first] = each.event.detail.get("parent") or ""
    for each in events:
        if each.event.type == REVOKED and (first := editions.get(each.event.detail["jti"])) is not None:
            nodes[first].revoked_at = each.at
    return nodes, editions, parents


def _node(issued: RecordedEvent, jti: UUID, cancelled: set[UUID]) -> TaskToken:
    event, detail = issued.event, issued.event.detail
    return TaskToken(
        jti=jti,
        actor_id=event.actor_ids[0] if event.actor_ids else None,
        client_id=detail["client_id"],
        audience=detail["audience"],
        scope=detail["scope"],
        issued_at=issued.at,
        expires_at=_expiry(issued),
        renewals=0,
        has_crossed=False,
        is_cancelled=not cancelled.isdisjoint(event.actor_ids),
        revoked_at=None,
        refusals=[],
        children=[],
    )


def _expiry(issued: RecordedEvent) -> datetime:
    return issued.at.replace(microsecond=0) + timedelta(seconds=issued.event.detail["expires_in"])


def _attach(node: TaskToken, parent: TaskToken | None) -> bool:
    """Put a token below the one that it was traded for; return False where there is none."""
    if parent is None:
        return False
    node.has_crossed = node.audience != parent.audience
    parent.children.append(node)
    return True


def _attach_refusal(refused: RecordedEvent, nodes: Nodes, editions: Editions) -> bool:
    node = nodes.get(editions.get(str(refused.event.detail.get("parent")), ""))
    if node is None:
        return False
    node.refusals.append(_refusal(refused))
    return True


def _refusal(refused: RecordedEvent) -> TaskRefusal:
    event, is_client = refused.event, refused.caller_kind == "client"
    return TaskRefusal(refused.at, event.type, event.reason, event.actor_ids, refused.caller_id if is_client else None)
