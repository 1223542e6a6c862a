"""Every statement names its tenant, once for every table that it reads or writes: a rule for SQL text.

Row-level security would hold all the same; a statement that leans on it alone is one policy away from a leak, and
plans badly where tables are partitioned by tenant.
"""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

from identity.store.tables import metadata

ROOT = str(Path(__file__).resolve().parents[2])
DOOR = f"{ROOT}/identity/store/tx.py"
_TABLE = f"(?:{'|'.join(sorted(metadata.tables))})"
TOUCHED = re.compile(rf"(?:\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(?:ONLY\s+)?|,\s*)({_TABLE})\b(?!\.)", re.IGNORECASE)
NAMED = re.compile(
    rf"\btenant_id\s*(?:=|IN\b)|\(tenant_id, \w+\)\s*IN\b|\bINTO\s+{_TABLE}\s*\(\s*tenant_id\b", re.IGNORECASE
)
BOUND = re.compile(
    rf"\btenant_id\s*=\s*(?::tenant\b|:tenant_id\b|%\(\w+\)s|\$\d+)|\bINTO\s+{_TABLE}\s*\(\s*tenant_id\b", re.IGNORECASE
)
OF_ONE_TENANT = re.compile(r"\bRECURSIVE\b|\bFOR\s+((NO\s+KEY\s+)?UPDATE|(KEY\s+)?SHARE)\b", re.IGNORECASE)
"""What a distributed PostgreSQL runs for one tenant only; it sees that where each table is compared with the tenant."""

REGISTRY = re.compile(
    r"SELECT [^()]* FROM tenants (?:WHERE tenants\.(?:slug =|tenant_id >)|ORDER BY tenants\.tenant_id)"
)
"""The registry is what a tenant is found in: by its slug, or one page of all of them."""

BEGINNING = "BEGIN; SET LOCAL role = "
"""A transaction takes its role before anything else."""


@cache
def tables_unnamed(statement: str) -> tuple[str, ...]:
    """Return the tables that a statement touches if it does not name their tenant as often, else nothing."""
    folded = " ".join(statement.split())
    touched = TOUCHED.findall(folded)
    if REGISTRY.match(folded) or len(touched) <= len(NAMED.findall(folded)):
        return ()
    return tuple(touched)


@cache
def tables_unbound(statement: str) -> tuple[str, ...]:
    """Return the tables of a statement that recurses or locks rows if it compares fewer of them with the tenant itself,
    rather than with another table's, else nothing.
    """
    folded = " ".join(statement.split())
    touched = TOUCHED.findall(folded)
    if not OF_ONE_TENANT.search(folded) or len(touched) <= len(BOUND.findall(folded)):
        return ()
    return tuple(touched)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what the application says in this process without naming its tenant, or outside of a transaction, where
    it has all the rights of its login.
    """
    faults: list[str] = []

    def look(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        role = connection.get_execution_options().get("role")
        is_unnamed = role == "identity_app" and (tables_unnamed(statement) or tables_unbound(statement))
        if (is_unnamed or (role and _is_outside(cursor, statement))) and not _is_said_by_a_test():
            faults.append(statement)

    event.listen(Engine, "before_cursor_execute", look)
    yield faults
    event.remove(Engine, "before_cursor_execute", look)


def _is_outside(cursor: Any, statement: str) -> bool:
    idle = cursor.connection.info.transaction_status is TransactionStatus.IDLE
    return idle and not statement.startswith(BEGINNING)


def _is_said_by_a_test() -> bool:
    """Say whether the nearest of our own files in the stack, the door of the store apart, is a test's."""
    files = (frame.filename for frame in reversed(traceback.extract_stack(limit=40)))
    ours = (file for file in files if file.startswith(ROOT) and file not in (__file__, DOOR) and "/.venv/" not in file)
    return next(ours, "").startswith(f"{ROOT}/tests/")
