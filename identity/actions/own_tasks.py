"""An agent's own tasks: those that it opened, and those that it took part in. Read, completed, cancelled."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from identity.actions.agent_authentication import PresentedAgent
from identity.actions.exchange import concerned_by, read_exchange_facts
from identity.actions.issuance import Issuer
from identity.actions.presented_tokens import ExchangeRequest, verify_subject
from identity.actions.tasks import cancel_task, end_task, spent_of
from identity.actions.upstream import InvalidSubjectToken, UpstreamKeys
from identity.model.access import Caller
from identity.model.errors import Conflict, NotAllowed, NotFound, Refusal
from identity.model.event import Event
from identity.model.task import Spent, Task, TaskActor, TaskState
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.tasks import task_actor_get, task_branch_end, task_get, task_list_of_opener

BY_OPENER, BY_SUBJECT, BY_ACTOR = "by_opener", "by_subject", "by_actor"


class NotTheOpener(NotAllowed):
    """The agent takes part in the task, and did not open it."""

    code = "not_the_opener"


@dataclass(frozen=True, slots=True)
class OwnTask:
    """A task, what it spent of its budget if it has one, and the agent that asks as one that acted in it, if it did."""

    task: Task
    spent: Spent | None
    actor: TaskActor | None


def list_own_tasks(tx: Tx, *, agent: PresentedAgent, after: UUID | None, limit: int) -> list[OwnTask]:
    """Return one page of the tasks that an agent opened, ended ones among them."""
    found = task_list_of_opener(tx, agent.id, after=after, limit=limit)
    spent = spent_of(tx, found)
    return [OwnTask(task, spent.get(task.txn), None) for task in found]


def get_own_task(tx: Tx, txn: UUID, *, agent: PresentedAgent) -> OwnTask:
    """Return a task that the agent opened or acted in. Raises ``NotFound``."""
    task = task_get(tx, txn)
    actor = None if task is None else task_actor_get(tx, txn, agent.id)
    if task is None or (actor is None and task.actor_id != agent.id):
        raise _not_there(agent)
    return OwnTask(task, spent_of(tx, [task]).get(txn), actor)


def complete_own_task(tx: Tx, txn: UUID, *, agent: PresentedAgent, caller: Caller, now: datetime) -> None:
    """End a task whose work is done, and every token that serves it. Doing it twice is doing it once.

    Raises ``NotFound``, ``NotTheOpener``; ``Conflict`` when it was cancelled.
    """
    task = get_own_task(tx, txn, agent=agent).task
    try:
        if task.actor_id != agent.id:
            raise NotTheOpener("only the agent that opened a task completes it")
        end_task(tx, txn, TaskState.COMPLETED, reason=BY_OPENER, caller=caller, now=now)
    except Refusal as refusal:
        refusal.concerns(subject_id=task.subject_id, actor_ids=(agent.id,), txn=txn)
        raise


def cancel_own_task(tx: Tx, txn: UUID, *, agent: PresentedAgent, caller: Caller, now: datetime) -> None:
    """End a task that the agent opened; of one that it only acted in, its branch: the tokens in whose chain it is.

    Raises ``NotFound``; ``Conflict`` when the task was completed.
    """
    found = get_own_task(tx, txn, agent=agent)
    try:
        if found.task.actor_id == agent.id:
            cancel_task(tx, txn, reason=BY_OPENER, caller=caller, now=now)
        else:
            _cancel_branch(tx, found, agent, caller=caller, now=now)
    except Refusal as refusal:
        refusal.concerns(subject_id=found.task.subject_id, actor_ids=(agent.id,), txn=txn)
        raise


def _cancel_branch(tx: Tx, found: OwnTask, agent: PresentedAgent, *, caller: Caller, now: datetime) -> None:
    task = found.task
    if task.state is TaskState.COMPLETED:
        raise Conflict(f"the task is {task.state}", reason="task_ended")
    if task.state is TaskState.OPEN and task_branch_end(tx, task.txn, agent.id, now=now):
        told = Event(
            type="task.branch_cancelled",
            subject_id=task.subject_id,
            actor_ids=(agent.id,),
            txn=task.txn,
            reason=BY_ACTOR,
        )
        event_insert(tx, told, caller=caller, now=now)


def cancel_task_of_subject(
    tx: Tx,
    txn: UUID,
    proof: ExchangeRequest,
    *,
    agent: PresentedAgent,
    issuer: Issuer,
    upstream_keys: UpstreamKeys,
    caller: Caller,
    now: datetime,
) -> Task:
    """End a task for the person whose own token an agent presents, whatever the agent has to do with the task.

    Raises ``NotFound``, ``InvalidSubjectToken``, ``UpstreamKeysNeeded``; ``Conflict`` when it was completed.
    """
    subject_id = _proved(tx, proof, agent, issuer, upstream_keys, now)
    task = task_get(tx, txn)
    if task is None or task.subject_id != subject_id:
        raise _not_there(agent)
    try:
        return cancel_task(tx, txn, reason=BY_SUBJECT, caller=caller, now=now)
    except Refusal as refusal:
        refusal.concerns(subject_id=task.subject_id, actor_ids=(agent.id,), txn=txn)
        raise


def _proved(
    tx: Tx, proof: ExchangeRequest, agent: PresentedAgent, issuer: Issuer, upstream_keys: UpstreamKeys, now: datetime
) -> UUID:
    """Return whose own token was presented; a token that names actors is theirs, and not the person's."""
    facts = read_exchange_facts(tx, proof, agent.lookup, issuer=issuer.identifier, now=now)
    try:
        held = verify_subject(tx, proof, facts, agent.client, issuer, upstream_keys, now)
        if held.chain:
            raise InvalidSubjectToken("a token that names actors is not the person's own", reason="subject_token_act")
    except Refusal as refusal:
        refusal.concerns(**concerned_by(facts, agent.client))
        raise
    return held.subject.id


def _not_there(agent: PresentedAgent) -> NotFound:
    refusal = NotFound("there is no such task of this agent's")
    refusal.concerns(actor_ids=(agent.id,))
    return refusal
