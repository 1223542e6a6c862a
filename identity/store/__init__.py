"""The store: the only package with SQL. Rows leave it as frozen dataclasses.

``Tx`` is the type of an open transaction of one tenant; ``transaction.py`` opens one.
"""

from identity.store.tx import Tx

__all__ = ["Tx"]
