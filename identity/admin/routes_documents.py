"""What describes the API itself; anybody may read it."""

from typing import Any

from pydantic import RootModel

from identity.admin import openapi, views
from identity.admin.errors import KINDS, type_url
from identity.admin.operations import operation
from identity.model.errors import NotThere


class OpenApiDocument(RootModel[dict[str, Any]]):
    """An OpenAPI 3.1 document."""


@operation("GET", "/openapi.json", answer=OpenApiDocument, is_public=True)
def get_openapi() -> OpenApiDocument:
    """Read this document."""
    return OpenApiDocument(openapi.document())


@operation("GET", "/problems/{kind}", answer=views.ProblemType, is_public=True)
def get_problem_type(kind: str) -> views.ProblemType:
    """Read what a problem's type means."""
    known = KINDS.get(kind)
    if known is None:
        raise NotThere("there is no such kind of problem")
    return views.ProblemType(type=type_url(kind), title=known.title, status=known.status, meaning=known.meaning)
