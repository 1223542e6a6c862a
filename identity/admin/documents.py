"""What describes the API itself; anybody may read it."""

from typing import Any

from pydantic import RootModel

from identity.admin import openapi, responses
from identity.admin.endpoints import operation
from identity.admin.errors import KINDS, type_url
from identity.model.errors import NotFound


class OpenApiDocument(RootModel[dict[str, Any]]):
    """An OpenAPI 3.1 document."""


@operation("GET", "/openapi.json", answer=OpenApiDocument, is_public=True)
def get_openapi() -> OpenApiDocument:
    """Read this document."""
    return OpenApiDocument(openapi.document())


@operation("GET", "/problems/{kind}", answer=responses.ProblemType, is_public=True)
def get_problem_type(kind: str) -> responses.ProblemType:
    """Read what a problem's type means."""
    known = KINDS.get(kind)
    if known is None:
        raise NotFound("there is no such kind of problem")
    return responses.ProblemType(type=type_url(kind), title=known.title, status=known.status, meaning=known.meaning)
