"""The type of an open transaction, for edges that run without Flask too: they annotate with it, and no more."""

from identity.store import Tx as Tx  # noqa: PLC0414
