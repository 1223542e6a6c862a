"""Cut-offs: read. They are written by the verbs that cut."""

from identity.model.cutoff import ListedCutoff
from identity.store import Tx
from identity.store.tokens import cutoff_list


def list_cutoffs(tx: Tx, *, after: tuple[str, str] | None, limit: int) -> list[ListedCutoff]:
    """Return one page of cut-offs, in the order of kind and key."""
    return cutoff_list(tx, after=after, limit=limit)
