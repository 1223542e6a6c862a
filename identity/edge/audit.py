"""Refusals become events, each in a transaction of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from flask import request

from identity.actions.audit import record_refusal, record_refusals
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


OnRefusal = Callable[[Tx, Refusal, Caller, datetime], None]
"""What an edge writes beside the event of a refusal."""


def log_unavailable(refusal: Refusal) -> None:
    """Tell the log why a request is answered with 503, which the caller is not told."""
    if isinstance(refusal, Unavailable):
        cause = refusal.cause or refusal.__cause__ or refusal.detail
        log.warning("unavailable", endpoint=request.endpoint, reason=refusal.reason, cause=first_line(cause))


def refusal_detail(refusal: Refusal) -> dict[str, Any]:
    """Return what the event of a refusal says of the request."""
    said = {"method": request.method, "endpoint": request.endpoint, "code": refusal.code, **refusal.claimed}
    return said if refusal.parent is None else {**said, "parent": str(refusal.parent)}


@contextmanager
def refusals_audited(
    surface: str,
    tenant_id: TenantId,
    who: Callable[[], Caller],
    also: OnRefusal | None = None,
    is_recorded: Callable[[Refusal], bool] = lambda _: False,
) -> Iterator[None]:
    """Record every refusal of the block in a transaction of its own, then let it go on to the edge.

    One that ``is_recorded`` was committed with the request. Of callers who proved nothing, further ones of the same
    minute and reason are counted, and written as one event.
    """
    try:
        yield
    except (Unavailable, RateLimited):
        raise  # nothing was decided; the trail may be what does not answer, and is not what a flood shall fill
    except Refusal as refusal:
        if is_recorded(refusal):
            raise
        caller = who()
        if caller.kind is CallerKind.ANONYMOUS:
            _record_anonymous(surface, tenant_id, refusal, caller)
            raise
        with open_transaction(tenant_id) as tx:
            now = runtime().clock()
            record_refusal(tx, surface, refusal, detail=refusal_detail(refusal), caller=caller, now=now)
            if also is not None:
                also(tx, refusal, caller, now)
        raise


def _record_anonymous(surface: str, tenant_id: TenantId, refusal: Refusal, caller: Caller) -> None:
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
