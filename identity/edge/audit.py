"""Refusals become events of the audit log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from flask import request

from identity.actions.events import record_refusal, record_refusals
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.access import Caller, CallerKind
from identity.model.errors import (
    RateLimited,
    Refusal,
    Unavailable,
    first_line,
)
from identity.model.ids import TenantId
from identity.model.refusal_counts import RefusalKey

log = structlog.get_logger("identity")


@dataclass(slots=True)
class Audit:
    """The audit of one request. ``caller`` is anonymous until one is authenticated. ``is_recorded``: the event of the
    refusal is in a transaction of the request's own.
    """

    surface: str
    tenant_id: TenantId
    caller: Caller
    is_recorded: bool = False

    def record(self, tx: Tx, refusal: Refusal, now: datetime) -> None:
        """Write the event of a refusal into ``tx``."""
        record_refusal(tx, self.surface, refusal, detail=refusal_detail(refusal), caller=self.caller, now=now)
        self.is_recorded = True


@contextmanager
def refusals_audited(surface: str, tenant_id: TenantId, caller: Caller) -> Iterator[Audit]:
    """Write the event of a refusal that leaves the block, in a transaction of its own, unless it is recorded already.

    The block sets the caller once it is authenticated. The refusals of anonymous callers are counted: those of one
    minute and reason are one event. Where nothing was decided there is none: the database may be what does not answer.
    """
    audit = Audit(surface, tenant_id, caller)
    try:
        yield audit
    except (Unavailable, RateLimited):
        raise
    except Refusal as refusal:
        if not audit.is_recorded:
            _record(audit, refusal)
        raise


def _record(audit: Audit, refusal: Refusal) -> None:
    if audit.caller.kind is CallerKind.ANONYMOUS:
        record_anonymous_refusal(audit.surface, audit.tenant_id, refusal, audit.caller)
        return
    with open_transaction(audit.tenant_id) as tx:
        audit.record(tx, refusal, runtime().clock())


def record_anonymous_refusal(surface: str, tenant_id: TenantId, refusal: Refusal, caller: Caller) -> None:
    """Count a refusal of an anonymous caller; write the event of the first of its minute and reason, and the counts
    that are due.
    """
    refusals, now = runtime().refusals, runtime().clock()
    key = RefusalKey(tenant_id, surface, refusal.reason)
    is_event, due = refusals.add(key, now)
    if not is_event and not due:
        return
    try:
        with open_transaction(tenant_id) as tx:
            record_refusals(tx, due, caller=caller, now=now)
            if is_event:
                record_refusal(tx, surface, refusal, detail=refusal_detail(refusal), caller=caller, now=now)
    except BaseException:
        refusals.put_back(due, key if is_event else None)
        raise


def refusal_detail(refusal: Refusal) -> dict[str, Any]:
    """Return the members of a refusal's event that the request gives."""
    detail = {"method": request.method, "endpoint": request.endpoint, "code": refusal.code, **refusal.claimed}
    return detail if refusal.parent is None else {**detail, "parent": str(refusal.parent)}


def log_unavailable(refusal: Refusal) -> None:
    """Log the cause of an answer 503, which the answer itself does not name."""
    if isinstance(refusal, Unavailable):
        cause = refusal.cause or refusal.__cause__ or refusal.detail
        log.warning("unavailable", endpoint=request.endpoint, reason=refusal.reason, cause=first_line(cause))
