"""What follows from a change: each row of the outbox is one principal to be brought in line, or other work that knows
by itself what of it is done. A task takes a batch of rows of one tenant: those on which nothing rests are done
together, every other one in transactions of its own. A task carries ids only; running it again, or twice at once,
changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

import structlog
from celery import Celery

from identity.actions.reconciliation import BEGINNING, Place
from identity.model.access import Caller, CallerKind
from identity.model.ids import TenantId
from identity.model.outbox import Progress
from identity.store import Tx
from identity.store.lifecycle import notices_insert
from identity.store.outbox import (
    Attempt,
    outbox_begin,
    outbox_done,
    outbox_fail,
    outbox_hold,
    outbox_lock,
    outbox_resume,
)
from workers.messages import RECONCILE

KIND = "reconcile"
RETRY_MIN_S = 2
RETRY_MAX_S = 900
ROUNDS_MAX = 500  # transactions for one row; what is left then is news of its own

NO_OTHERS: "Works" = MappingProxyType({})

Begin = Callable[[TenantId], AbstractContextManager[Tx]]

log = structlog.get_logger(__name__)


class Reconcile(Protocol):
    """What brings one principal in line with what is desired, a step at a time; it returns where to go on in another
    transaction, None when all is done.
    """

    def __call__(self, tx: Tx, principal_id: UUID, *, place: Place, caller: Caller, now: datetime) -> Place | None: ...


class Work(Protocol):
    """What does the work of a row of another kind, in transactions of its own, as far as it gets in its turn."""

    def __call__(self, tenant_id: TenantId, outbox_id: UUID) -> Progress: ...


Works = Mapping[str, Work]
"""By the kind of the row."""

ObserveQuiet = Callable[[Tx, Sequence[UUID]], set[UUID]]
"""What returns those of many principals that are in line already, and writes so."""


def nothing_is_quiet(_tx: Tx, _principal_ids: Sequence[UUID]) -> set[UUID]:
    """Take no principal for quiet."""
    return set()


@dataclass(frozen=True, slots=True)
class Tools:
    """What tasks work with. ``works`` is by the kind of the row."""

    begin: Begin
    reconcile: Reconcile
    clock: Callable[[], datetime]
    works: Works = field(default_factory=lambda: NO_OTHERS)
    observe_quiet: ObserveQuiet = nothing_is_quiet


def register_tasks(app: Celery, tools: Tools) -> None:
    """Give ``app`` the tasks that workers run."""

    @app.task(name=RECONCILE)  # type: ignore[untyped-decorator]
    def reconcile_task(tenant_id: str, *outbox_ids: str) -> None:
        with structlog.contextvars.bound_contextvars(tenant=tenant_id):
            settle(tools, TenantId(UUID(tenant_id)), [UUID(id_) for id_ in outbox_ids])


def settle(tools: Tools, tenant_id: TenantId, outbox_ids: Sequence[UUID]) -> None:
    """Do what rows ask for and mark them done; on failure remember why and when to try again."""
    with tools.begin(tenant_id) as tx:
        attempts = outbox_begin(tx, outbox_ids)  # left out: what is done already, or another worker is at
    for dead in (attempt for attempt in attempts if attempt.is_dead):
        log.error("outbox_row_given_up", outbox_id=str(dead.id), attempts=dead.number)
    left = _settle_quiet(tools, tenant_id, [attempt for attempt in attempts if not attempt.is_dead])
    while left:
        _settle_one(tools, tenant_id, left[0], others=left[1:])
        left = left[1:]


def _settle_quiet(tools: Tools, tenant_id: TenantId, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
    """Mark done, together, what has nothing to change; return the rest."""
    asked = {attempt.id: attempt.principal_id for attempt in attempts if attempt.kind == KIND and attempt.principal_id}
    if not asked:
        return attempts
    try:
        with tools.begin(tenant_id) as tx:
            held = outbox_lock(tx, list(asked))
            quiet = tools.observe_quiet(tx, [asked[id_] for id_ in held])
            done = {id_ for id_ in held if asked[id_] in quiet}
            outbox_done(tx, done)
    except Exception:  # each by itself will say which it is
        log.exception("outbox_batch_failed", rows=len(asked))
        return attempts
    return [attempt for attempt in attempts if attempt.id not in done]


def _settle_one(tools: Tools, tenant_id: TenantId, attempt: Attempt, *, others: Sequence[Attempt]) -> None:
    with structlog.contextvars.bound_contextvars(outbox_id=str(attempt.id)):
        try:
            if attempt.kind == KIND:
                _work(tools, tenant_id, attempt, [other.id for other in others])
            else:
                _carry_on(tools, tools.works[attempt.kind], tenant_id, attempt.id)
        except Exception as error:
            log.exception("outbox_row_failed", attempt=attempt.number)
            pause = timedelta(seconds=min(RETRY_MIN_S * 2**attempt.number, RETRY_MAX_S))
            with tools.begin(tenant_id) as tx:
                outbox_fail(tx, attempt.id, error=type(error).__name__, pause=pause)


def _carry_on(tools: Tools, work: Work, tenant_id: TenantId, outbox_id: UUID) -> None:
    """Give long work its turn; what is not done then waits for the next, so that nobody's Bulk keeps others out."""
    progress = work(tenant_id, outbox_id)
    if progress is Progress.CLAIMED_ELSEWHERE:
        return  # whoever is at it marks the row; if that one dies, the row is sent again
    with tools.begin(tenant_id) as tx:
        if progress is Progress.DONE:
            outbox_done(tx, [outbox_id])
        else:
            outbox_resume(tx, outbox_id)


def _work(tools: Tools, tenant_id: TenantId, attempt: Attempt, others: Sequence[UUID]) -> None:
    """Reconcile step by step. Each step holds the row, and now and then those that wait in this task too."""
    if attempt.principal_id is None:
        raise LookupError("a row without a principal has nothing to reconcile")
    place: Place | None = BEGINNING
    for round_ in range(ROUNDS_MAX):
        with tools.begin(tenant_id) as tx:
            if not outbox_hold(tx, attempt.id, others):
                return
            caller = Caller(CallerKind.WORKER, id="cascade", request_id=f"outbox:{attempt.id}")
            place = tools.reconcile(
                tx, attempt.principal_id, place=place or BEGINNING, caller=caller, now=tools.clock()
            )
            if place is not None and round_ == ROUNDS_MAX - 1:
                notices_insert(tx, [attempt.principal_id])
            elif place is not None:
                continue
            outbox_done(tx, [attempt.id])
            return
