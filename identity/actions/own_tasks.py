"""The tasks of an agent: those that it opened, and those that it took part in. Read, completed, cancelled."""

from dataclasses import dataclass
from uuid import UUID

from identity.actions.agent_authentication import AgentCall
from identity.actions.exchange import concerned_by, read_exchange_facts
from identity.actions.presented_tokens import Exchange, ExchangeRequest, verify_subject
from identity.actions.tasks import cancel_task, end_task, spent_of
from identity.actions.upstream import InvalidSubjectToken
from identity.model.errors import Conflict, NotAllowed, NotFound, Refusal, concerning
from identity.model.event import Event
from identity.model.task import Spent, Task, TaskActor, TaskState
from identity.store.events import event_insert
from identity.store.tasks import task_actor_get, task_branch_end, task_get, task_list_of_opener

BY_OPENER, BY_SUBJECT, BY_ACTOR = "by_opener", "by_subject", "by_actor"


class NotTheOpener(NotAllowed):
    """The agent takes part in a task that another one opened."""

    code = "not_the_opener"


@dataclass(frozen=True, slots=True)
class OwnTask:
    """A task, with the use of its budget where it has one, and the agent's part in it where it acted."""

    task: Task
    spent: Spent | None = None
    actor: TaskActor | None = None


def list_own_tasks(call: AgentCall, *, after: UUID | None, limit: int) -> tuple[list[OwnTask], UUID | None]:
    """Return one page of the tasks that the agent opened, ended ones included, and the last id where more follow."""
    found = task_list_of_opener(call.tx, call.agent_id, after=after, limit=limit + 1)
    page = found[:limit]
    spent = spent_of(call.tx, page)
    return [OwnTask(task, spent.get(task.txn)) for task in page], page[-1].txn if len(found) > limit else None


def get_own_task(call: AgentCall, txn: UUID) -> OwnTask:
    """Return a task that the agent opened or acted in. Raises ``NotFound``."""
    task = task_get(call.tx, txn)
    actor = None if task is None else task_actor_get(call.tx, txn, call.agent_id)
    if task is None or (actor is None and task.actor_id != call.agent_id):
        raise _not_found(call)
    return OwnTask(task, spent_of(call.tx, [task]).get(txn), actor)


def complete_own_task(call: AgentCall, txn: UUID) -> OwnTask:
    """End a task whose work is done, and every token that serves it; return it. A second completion changes nothing.

    Raises ``NotFound``, ``NotTheOpener``; ``Conflict`` when it was cancelled.
    """
    task = get_own_task(call, txn).task
    with concerning(subject_id=task.subject_id, actor_ids=(call.agent_id,), txn=txn):
        if task.actor_id != call.agent_id:
            raise NotTheOpener("only the agent that opened a task completes it")
        end_task(call.tx, txn, TaskState.COMPLETED, reason=BY_OPENER, caller=call.caller, now=call.now)
    return get_own_task(call, txn)


def cancel_own_task(call: AgentCall, txn: UUID) -> OwnTask:
    """End a task that the agent opened, and of another its branch: the tokens whose chain names it. Return the task.

    Raises ``NotFound``; ``Conflict`` when the task was completed.
    """
    task = get_own_task(call, txn).task
    with concerning(subject_id=task.subject_id, actor_ids=(call.agent_id,), txn=txn):
        if task.actor_id == call.agent_id:
            cancel_task(call.tx, txn, reason=BY_OPENER, caller=call.caller, now=call.now)
        else:
            _cancel_branch(call, task)
    return get_own_task(call, txn)


def _cancel_branch(call: AgentCall, task: Task) -> None:
    if task.state is TaskState.COMPLETED:
        raise Conflict(f"the task is {task.state}", reason="task_ended")
    if task.state is TaskState.OPEN and task_branch_end(call.tx, task.txn, call.agent_id, now=call.now):
        cancelled = Event(
            type="task.branch_cancelled",
            subject_id=task.subject_id,
            actor_ids=(call.agent_id,),
            txn=task.txn,
            reason=BY_ACTOR,
        )
        event_insert(call.tx, cancelled, caller=call.caller, now=call.now)


def cancel_task_of_subject(call: AgentCall, txn: UUID, proof: ExchangeRequest) -> Task:
    """End a task for its subject, whose own token the agent presents. The agent needs no part in the task.

    Raises ``NotFound``, ``InvalidSubjectToken``, ``UpstreamKeysNeeded``; ``Conflict`` when it was completed.
    """
    subject_id = _verified_subject(call, proof)
    task = task_get(call.tx, txn)
    if task is None or task.subject_id != subject_id:
        raise _not_found(call)
    with concerning(subject_id=task.subject_id, actor_ids=(call.agent_id,), txn=txn):
        return cancel_task(call.tx, txn, reason=BY_SUBJECT, caller=call.caller, now=call.now)


def _verified_subject(call: AgentCall, proof: ExchangeRequest) -> UUID:
    """Return the person of a subject token. A token that names actors is theirs, and not the person's own."""
    facts = read_exchange_facts(call.tx, proof, call.lookup, call.issuer.identifier, call.now)
    exchange = Exchange(call, proof, facts)
    with concerning(**concerned_by(exchange)):
        held = verify_subject(exchange)
        if held.chain:
            raise InvalidSubjectToken("a token that names actors is not the person's own", reason="subject_token_act")
    return held.subject.id


def _not_found(call: AgentCall) -> Refusal:
    refusal = NotFound("there is no such task of this agent's")
    refusal.concerns(actor_ids=(call.agent_id,))
    return refusal
