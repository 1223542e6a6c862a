"""Public documents that describe the API itself."""

from typing import Any

from pydantic import RootModel

from identity.admin import openapi
from identity.admin.endpoints import operation
from identity.admin.errors import KINDS, Kind, type_url
from identity.admin.responses import ProblemType, members_of
from identity.model.errors import NotFound


class OpenApiDocument(RootModel[dict[str, Any]]):
    """An OpenAPI 3.1 document."""


@operation("GET", "/openapi.json", response=OpenApiDocument, is_public=True)
def get_openapi() -> dict[str, Any]:
    """Read this document."""
    return openapi.document()


@operation("GET", "/problems/{kind}", response=ProblemType, is_public=True)
def get_problem_type(kind: str) -> dict[str, Any]:
    """Read what a problem's type means."""
    known: Kind | None = KINDS.get(kind)
    if known is None:
        raise NotFound("there is no such kind of problem")
    return members_of(known) | {"type": type_url(kind)}
