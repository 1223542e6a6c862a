"""The settings with which every transaction begins: its role, how it is planned, how long it may take.

None of them travels in a connection's start-up options, which a pooler refuses, and nothing stays in the session,
which a pooler gives to other clients. They cost no round trip, for they go with BEGIN.
"""

from functools import cache
from typing import Literal

Role = Literal["identity_app", "identity_relay"]

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 4_000
"""Longer than a transaction that issues a token can live, so that none of them makes a cut fail."""

BRIEF_TIMEOUT_MS = 1_000
"""Of a statement, and of the pauses between two, where a token is issued: a cut waits for it."""

IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000

PLANNER = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
"""Everything here is looked up by key. A plan that reads a small table whole is kept when the table is no longer small,
and compiling a statement takes longer than any of them runs."""

PREPARE_AFTER = 2
"""A statement is prepared the third time that a connection runs it."""


@cache
def begin_sql(role: Role, *, is_brief: bool = False) -> str:
    """Return what begins a transaction with the rights of ``role`` alone: the role first, for what follows is its own.

    The login may inherit the rights of both roles, and the policies for them; SET LOCAL ROLE gives those up until the
    transaction ends.
    """
    settings = {
        "role": role,
        "statement_timeout": BRIEF_TIMEOUT_MS if is_brief else STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": BRIEF_TIMEOUT_MS if is_brief else IDLE_IN_TRANSACTION_TIMEOUT_MS,
        "timezone": "UTC",
        **PLANNER,
    }
    return "; ".join(["BEGIN", *(f"SET LOCAL {name} = {value}" for name, value in settings.items())])
