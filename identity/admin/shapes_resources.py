"""What may be asked about pairs of resource servers."""

from typing import Annotated

from pydantic import Field

from identity.admin.shapes import Asked, Line, Scope
from identity.model.resource import TYPES_MAX
from identity.model.scope import SCOPES_MAX

Allowed = Annotated[tuple[Scope, ...], Field(min_length=1, max_length=SCOPES_MAX)]


class NewResourcePair(Asked):
    """Which scopes of one resource server allow which of another, and which types of authorization details which.

    ``from`` and ``to`` name the two by audience or id.
    """

    source: Annotated[Line, Field(alias="from")]
    target: Annotated[Line, Field(alias="to")]
    scopes: Annotated[dict[Scope, Allowed], Field(max_length=SCOPES_MAX, default_factory=dict)]
    authorization_details_types: Annotated[dict[Scope, Scope], Field(max_length=TYPES_MAX, default_factory=dict)]
