"""What goes to the database: counted, so that no test has to be timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event


@dataclass(slots=True)
class Trips:
    """What went to the database: each statement is one round trip."""

    statements: list[str] = field(default_factory=list)
    rows: int = 0

    def __len__(self) -> int:
        return len(self.statements)


@contextmanager
def round_trips(engine: Engine) -> Iterator[Trips]:
    """Count the statements of a block, BEGIN and COMMIT included, and the rows that they wrote or returned."""
    seen = Trips()

    def after(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        seen.statements.append(statement)
        seen.rows += max(0, cursor.rowcount)

    event.listen(engine, "after_cursor_execute", after)
    try:
        yield seen
    finally:
        event.remove(engine, "after_cursor_execute", after)
