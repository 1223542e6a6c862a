"""Cut-offs of a tenant."""

from datetime import datetime

from identity.actions.cutoffs import list_cutoffs
from identity.admin.endpoints import listing
from identity.admin.paging import Cursor
from identity.admin.responses import Items, ResponseModel


class Cutoff(ResponseModel):
    """Everything issued for ``key`` up to ``not_before`` is dead."""

    kind: str
    key: str
    not_before: datetime
    reason: str | None


class CutoffList(Items[Cutoff]):
    """Cut-offs in the order of kind and key."""


listing(
    "/tenants/{tenant}/cutoffs", list_cutoffs, "List cut-offs", CutoffList, cursor=Cursor({"kind": str, "key": str})
)
