"""Request models that several resources share: their base classes, types and pages. Unknown members are refused."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from identity.model import resource
from identity.model.principal import CUSTOM_KIND, Kind
from identity.model.selection import Order, Span
from identity.model.tenant import TASK_DURATION_MAX_S, TASK_DURATION_MIN_S

PAGE = 50
PAGE_MAX = 200

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"),
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=128)]
JsonObject = dict[str, Any]
TaskSeconds = Annotated[int, Field(ge=TASK_DURATION_MIN_S, le=TASK_DURATION_MAX_S)]
PrincipalKind = Annotated[
    Kind,
    WithJsonSchema(
        {
            "description": "One of the four, or the name of a resource type that the tenant defined, behind custom:",
            "anyOf": [
                {"type": "string", "enum": [kind.value for kind in Kind]},
                {"type": "string", "pattern": f"^{CUSTOM_KIND.pattern}$"},
            ],
        }
    ),
]


class RequestModel(BaseModel):
    """Strict: no member is guessed, converted or ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Change(RequestModel):
    """The body of a PATCH. A member that is absent stays as it is (RFC 7396 §1)."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    """The members to which null gives a value; null changes nothing in the others."""

    @property
    def changes(self) -> dict[str, Any]:
        """The members that get a value, by name."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in given.items() if value is not None or name in self.NULLABLE}


class RestrictingType(RequestModel):
    """A type of authorization details whose entries restrict these scopes of the resource server."""

    type: Scope
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)]


def _tag_of_type(given: Any) -> str | None:
    """Return the variant of a type's JSON, so that faults are reported for that variant alone."""
    return "alone" if isinstance(given, str) else "restricting" if isinstance(given, dict) else None


DetailsType = Annotated[
    Annotated[Scope, AfterValidator(resource.DetailsType), Tag("alone")]
    | Annotated[
        RestrictingType, AfterValidator(lambda it: resource.DetailsType(it.type, it.scopes)), Tag("restricting")
    ],
    Discriminator(_tag_of_type),
]
"""A string or an object in JSON, a ``DetailsType`` of the model after validation."""


class Reason(RequestModel):
    """The reason, for the audit log."""

    reason: Name = "by_administrator"


class Nothing(RequestModel):
    """An empty object, or no body at all."""


class Page(BaseModel):
    """One page of a list; ``after`` is the ``next_cursor`` of the page before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE
    after: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """The arguments with which the action selects rows."""
        return {name: value for name, value in self if name not in Page.model_fields}


class LogPage(Page):
    """A log behind the row whose id is ``after``, oldest or newest first, from ``since`` on and before ``until``."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Order = Order.ASCENDING

    @property
    def filters(self) -> dict[str, Any]:
        """The arguments with which the action selects rows; the two instants are one span of time."""
        others = {name: value for name, value in super().filters.items() if name not in ("since", "until")}
        return {**others, "span": Span(self.since, self.until)}


PrincipalFilter = Annotated[UUID | None, Field(alias="principal")]
