"""A worker of the tests: does what the outbox asks for, in this thread, and can be killed at any commit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg

from identity.edge.runtime import Runtime
from identity.model.async_request import OUTBOX_KIND
from identity.model.ids import TenantId
from identity.model.outbox import Progress
from identity.store import Tx
from identity.store.transaction import transaction
from scim.bulk.tasks import perform
from tests.scim.sources import Source
from tests.workers.rows import run_rows


class Killed(BaseException):
    """kill -9: no handler of the application may catch it."""


@dataclass
class Worker:
    """``dies_at`` counts transactions; the one of that number is lost, or committed as the last thing that was done."""

    runtime: Runtime
    owner_url: str
    dies_at: int | None = None
    dies_before_commit: bool = True
    meanwhile: Callable[[int], None] = lambda _: None
    turns: Callable[[], bool] = lambda: False
    count: int = field(default=0)

    @contextmanager
    def begin(self, tenant_id: TenantId, **options: Any) -> Iterator[Tx]:
        self.count += 1
        number = self.count
        self.meanwhile(number)
        try:
            with transaction(self.runtime.engine, tenant_id, **options) as tx:
                yield tx
                if number == self.dies_at and self.dies_before_commit:
                    raise Killed
        finally:
            if number == self.dies_at:
                raise Killed

    def perform(self, tenant_id: TenantId, id_: UUID) -> Progress:
        begin = partial(self.begin, tenant_id, holds_events=True)
        return perform(begin, id_, encryption=self.runtime.encryption, clock=self.runtime.clock, until=self.turns)

    def settle(self, source: Source, id_: UUID) -> None:
        """Do a row of the outbox as a task does."""
        open_transaction, works = partial(transaction, self.runtime.engine), {OUTBOX_KIND: self.perform}
        run_rows(open_transaction, source.tenant_id, [id_], clock=self.runtime.clock, works=works)

    def work(self, source: Source) -> None:
        """Do every asynchronous request that a tenant's outbox asks for."""
        for (id_,) in self.rows(source, "SELECT id FROM outbox WHERE kind = 'scim_async' AND done_at IS NULL"):
            self.settle(source, id_)

    def rows(self, source: Source, query: str) -> list[Any]:
        """Read what is there, past the wall."""
        with psycopg.connect(self.owner_url.replace("+psycopg", ""), autocommit=True) as owner:
            owner.execute(f"SET app.tenant = '{source.tenant_id}'")
            return owner.execute(query.encode()).fetchall()

    def one(self, source: Source, query: str) -> Any:
        return self.rows(source, query)[0][0]


def forward(runtime: Runtime, **delta: float) -> datetime:
    """Move the clock of a house."""
    runtime.clock.now += timedelta(**delta)  # type: ignore[attr-defined]
    return runtime.clock()
