"""What is remembered. The only room that speaks SQL; rows leave it as frozen dataclasses.

``Tx`` is the type of an open transaction, bound to one tenant; ``transaction.py`` is what opens one.
"""

from identity.store.tx import Tx

__all__ = ["Tx"]
