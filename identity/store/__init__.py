"""The store: the only package that speaks SQL. Rows leave it as frozen dataclasses.

``Tx`` is the type of an open transaction, bound to one tenant; ``transaction.py`` opens one. ``OpenTransaction`` is the
type of a function that opens one for a tenant. ``Engine`` and ``Connection`` are SQLAlchemy's.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from identity.model.ids import TenantId
from identity.store.tx import Tx

OpenTransaction = Callable[[TenantId], AbstractContextManager[Tx]]

__all__ = ["Connection", "Engine", "OpenTransaction", "Tx"]
