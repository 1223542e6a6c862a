"""Response models that several resources share. A credential is only in the response that creates it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, model_validator

JsonObject = dict[str, Any]


class ResponseModel(BaseModel):
    """Read by name from a value of the model, or from a mapping of its members."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


def members_of(value: Any) -> dict[str, Any]:
    """Return the members of a dataclass or mapping, by name."""
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in fields(value)}


class Flattened(ResponseModel):
    """Read from a dataclass and from another one that it has as its member ``INNER``."""

    INNER: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def flatten(cls, value: Any) -> dict[str, Any]:
        """Return the members of both; of two with one name, the outer one."""
        return members_of(getattr(value, cls.INNER)) | members_of(value)


Item = TypeVar("Item", bound=ResponseModel)


class Items(ResponseModel, Generic[Item]):
    """One page; ``next_cursor`` is null on the last."""

    items: list[Item]
    next_cursor: str | None


class Fault(ResponseModel):
    """One fault of a request: where (JSON pointer, RFC 6901, or the name of a parameter) and what."""

    pointer: str
    detail: str


class Problem(ResponseModel):
    """RFC 9457. ``code`` names the failed rule and is stable; ``request_id`` finds the event and the log lines."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[Fault] = []


class ProblemType(ResponseModel):
    """What a problem's ``type`` leads to."""

    type: str
    title: str
    status: int
    meaning: str
