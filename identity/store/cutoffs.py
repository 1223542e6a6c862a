"""Cut-offs. They only move forward in time."""

from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from identity.model.cutoff import CutoffKind, ListedCutoff
from identity.store.tables import cutoffs
from identity.store.tx import Tx


def cutoff_set(tx: Tx, kind: CutoffKind, key: str, *, reason: str, now: datetime) -> None:
    """Let everything issued for ``key`` up to ``now`` be dead."""
    statement = insert(cutoffs).values(tenant_id=tx.tenant_id, kind=kind, key=key, not_before=now, reason=reason)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "kind", "key"],
            set_={
                "not_before": func.greatest(cutoffs.c.not_before, statement.excluded.not_before),
                "reason": statement.excluded.reason,
            },
        )
    )


def cutoff_list(tx: Tx, *, after: tuple[str, str] | None, limit: int) -> list[ListedCutoff]:
    """Return at most ``limit`` cut-offs in the order of kind and key."""
    statement = (
        select(cutoffs.c.kind, cutoffs.c.key, cutoffs.c.not_before, cutoffs.c.reason)
        .where(cutoffs.c.tenant_id == tx.tenant_id)
        .order_by(cutoffs.c.kind, cutoffs.c.key)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(cutoffs.c.kind, cutoffs.c.key) > after)
    return [ListedCutoff(row.kind, row.key, row.not_before, row.reason) for row in tx.execute(statement)]
